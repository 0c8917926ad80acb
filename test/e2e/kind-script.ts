// What the kubectl test does with every kind of the registry, from its first apply to its deletion.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { parse, stringify } from 'yaml'
import type { Kind } from '../../core/model/kinds/kind.ts'
import { formatApiVersion } from '../../core/model/kinds.ts'
import type { Kubectl, Result } from '../helpers/kubectl.ts'
import { exampleManifest } from './example-manifest.ts'

export class KindScript {
  readonly #t: Test
  readonly #kubectl: Kubectl
  readonly #kind: Kind
  readonly #file: string
  readonly #resource: string
  readonly #name: string
  readonly #scope: readonly string[]
  readonly #object: Record<string, unknown>

  constructor(t: Test, kubectl: Kubectl, kind: Kind, folder: string) {
    this.#t = t
    this.#kubectl = kubectl
    this.#kind = kind
    this.#resource = kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`
    this.#scope = kind.namespaced ? ['-n', 'kubectl'] : []
    this.#object = withNote(exampleManifest(kind), kind.namespaced)
    this.#name = (this.#object['metadata'] as { name: string }).name
    mkdirSync(folder, { recursive: true })
    this.#file = join(folder, `${this.#resource}.yaml`)
    writeFileSync(this.#file, stringify(this.#object))
  }

  async run(): Promise<void> {
    if (this.#kind.namespaced) await this.#kubectl.run(['create', 'namespace', 'kubectl'])
    await this.#ok(['apply', '-f', this.#file], /created/)
    await this.#ok(['apply', '-f', this.#file], /unchanged|configured/)
    await this.#reads()
    await this.#explains()
    await this.#diffs()
    await this.#edits()
    await this.#changes()
    await this.#serverSide()
    await this.#deletes()
  }

  /** Runs kubectl; its output must match, and it must end well. */
  async #ok(args: readonly string[], output: RegExp, env: Readonly<Record<string, string>> = {}): Promise<Result> {
    const result = await this.#kubectl.run([...args, ...this.#scope], '', env)
    const what = `kubectl ${args.join(' ')}`
    this.#t.equal(result.code, 0, `${what}\n${result.stderr}`)
    this.#t.match(result.stdout, output, what)
    return result
  }

  async #reads(): Promise<void> {
    const at = [this.#resource, this.#name]
    const yaml = await this.#ok(['get', ...at, '-o', 'yaml'], /^kind: /m)
    this.#t.match(parse(yaml.stdout), { kind: this.#kind.kind, metadata: { name: this.#name } })
    const json = await this.#ok(['get', ...at, '-o', 'json'], /"kind"/)
    this.#t.match(JSON.parse(json.stdout), { kind: this.#kind.kind, metadata: { uid: /./ } })
    // nobody chose the names of events: their tables begin otherwise
    await this.#ok(['get', this.#resource], this.#kind.nameIsWide === true ? /^LAST SEEN +TYPE/ : /^NAME +.*AGE/)
    await this.#ok(['get', ...at, '-o', 'wide'], new RegExp(`^${this.#name} `, 'm'))
    await this.#ok(['get', this.#resource, '-o', 'name', '--chunk-size=1'], new RegExp(`/${this.#name}$`, 'm'))
    await this.#ok(['get', this.#resource, '--sort-by=.metadata.name', '-L', 'team', '--show-labels'], /TEAM/)
    await this.#ok(['describe', ...at], new RegExp(`^Name: +${this.#name}$`, 'm'))
    for (const version of this.#kind.versions) {
      const path =
        this.#kind.group === ''
          ? `${this.#kind.plural}.${version}.`
          : `${this.#kind.plural}.${version}.${this.#kind.group}`
      await this.#ok(['get', path, this.#name, '-o', 'jsonpath={.apiVersion}'], new RegExp(`${version}$`))
    }
  }

  async #explains(): Promise<void> {
    for (const version of this.#kind.versions) {
      const apiVersion = `--api-version=${formatApiVersion(this.#kind.group, version)}`
      const { stdout } = await this.#ok(['explain', this.#kind.plural, '--recursive', apiVersion], /FIELDS:/)
      this.#t.match(stdout, new RegExp(`KIND: +${this.#kind.kind}\\s`))
      for (const field of ['apiVersion', 'metadata', ...Object.keys(this.#kind.body)]) {
        this.#t.match(stdout, new RegExp(`^  ${field}\t<`, 'm'), `${field} is explained in ${version}`)
      }
    }
  }

  async #diffs(): Promise<void> {
    const same = await this.#kubectl.run(['diff', '-f', this.#file, ...this.#scope])
    this.#t.equal(same.code, 0, `no difference\n${same.stdout}${same.stderr}`)
    const changed = { ...this.#object, metadata: { ...(this.#object['metadata'] as object), labels: { team: 'diff' } } }
    writeFileSync(`${this.#file}.changed`, stringify(changed))
    const different = await this.#kubectl.run(['diff', '-f', `${this.#file}.changed`, ...this.#scope])
    this.#t.equal(different.code, 1, `a difference\n${different.stderr}`)
    this.#t.match(different.stdout, /^\+ +team: diff$/m)
  }

  async #edits(): Promise<void> {
    const editor = 'sed -i s/before-the-edit/after-the-edit/'
    const at = [this.#resource, this.#name]
    await this.#ok(['edit', ...at], /edited/, { KUBE_EDITOR: editor })
    await this.#ok(['get', ...at, '-o', 'jsonpath={.metadata.annotations.note}'], /^after-the-edit$/)
  }

  async #changes(): Promise<void> {
    const at = [this.#resource, this.#name]
    const watch = this.#kubectl.follow(['get', ...at, '-w', '--output-watch-events', ...this.#scope])
    await watch.next((line) => line.startsWith('ADDED'))
    await this.#ok(['label', ...at, 'team=labelled', '--overwrite'], /labeled/)
    this.#t.match(await watch.next((line) => line.startsWith('MODIFIED')), new RegExp(this.#name))
    watch.close()
    await this.#ok(['annotate', ...at, 'more=noted'], /annotated/)
    const labels = (team: string) => JSON.stringify({ metadata: { labels: { team } } })
    await this.#ok(['patch', ...at, '--type=merge', '-p', labels('merged')], /patched/)
    const json = JSON.stringify([{ op: 'replace', path: '/metadata/labels/team', value: 'json' }])
    await this.#ok(['patch', ...at, '--type=json', '-p', json], /patched/)
    if (this.#kind.group === '') await this.#ok(['patch', ...at, '-p', labels('strategic')], /patched/)
    await this.#ok(
      ['get', this.#resource, '-l', 'team in (json,strategic)', '-o', 'name'],
      new RegExp(`/${this.#name}`),
    )
  }

  async #serverSide(): Promise<void> {
    const apply = ['apply', '--server-side', '--force-conflicts', '-f', this.#file]
    await this.#ok(apply, /serverside-applied/)
    const fields = [
      'get',
      this.#resource,
      this.#name,
      '--show-managed-fields',
      '-o',
      'jsonpath={.metadata.managedFields}',
    ]
    await this.#ok(fields, /"manager":"kubectl"/)
    const replaced = await this.#ok(['get', this.#resource, this.#name, '-o', 'json'], /./)
    const result = await this.#kubectl.run(['replace', '-f', '-', ...this.#scope], replaced.stdout)
    this.#t.match(result, { code: 0, stdout: /replaced/ }, `kubectl replace\n${result.stderr}`)
    // a List is checked by kubectl itself, against the Swagger document
    const list = await this.#ok(['get', this.#resource, '-o', 'yaml'], /^kind: List$/m)
    const all = await this.#kubectl.run(['replace', '-f', '-', ...this.#scope], list.stdout)
    this.#t.match(all, { code: 0, stdout: /replaced/ }, `kubectl replace of a List\n${all.stderr}`)
  }

  async #deletes(): Promise<void> {
    const at = [this.#resource, this.#name]
    const watch = this.#kubectl.follow(['get', ...at, '-w', '--output-watch-events', ...this.#scope])
    await watch.next((line) => line.startsWith('ADDED'))
    await this.#ok(['delete', '-f', this.#file, '--timeout=30s'], /deleted/)
    this.#t.match(await watch.next((line) => line.startsWith('DELETED')), new RegExp(this.#name))
    watch.close()
    const missing = await this.#kubectl.run(['get', ...at, ...this.#scope])
    this.#t.match(missing, { code: 1, stderr: /Error from server \(NotFound\): .* not found/ })
  }
}

/** With a label and a note that the script changes later. */
function withNote(object: Record<string, unknown>, namespaced: boolean): Record<string, unknown> {
  const { namespace: _, ...metadata } = object['metadata'] as Record<string, Record<string, string>>
  const labels = { ...metadata['labels'], team: 'first' }
  const annotations = { ...metadata['annotations'], note: 'before-the-edit' }
  const place = namespaced ? { namespace: 'kubectl' } : {}
  return { ...object, metadata: { ...metadata, ...place, labels, annotations } }
}
