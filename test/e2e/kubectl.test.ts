// Unmodified kubectl drives every kind of the registry: apply, get, describe, explain, diff, edit, label, annotate, patch, watch and
// delete, with the validation that kubectl has by default.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { formatApiVersion, kinds } from '../../core/model/kinds.ts'
import { directory, start } from '../helpers/control-world.ts'
import { findKubectl, type Kubectl, kubectlFor } from '../helpers/kubectl.ts'
import { KindScript } from './kind-script.ts'

async function main(command: string): Promise<void> {
  const stateDir = await directory(t)
  await start(t, stateDir)
  const kubectl = await kubectlFor(command, stateDir, join(stateDir, 'home'))
  for (const kind of kinds) {
    await t.test(`kubectl drives ${kind.kind} of ${formatApiVersion(kind.group, kind.versions[0]!)}`, async (t) => {
      await new KindScript(t, kubectl, kind, join(stateDir, 'manifests')).run()
    })
  }
  await t.test('kubectl finds out what the API serves', (t) => aboutTheApi(t, kubectl))
  await t.test('kubectl asks who it is and what it may do', (t) => aboutMyself(t, kubectl))
  await t.test('kubectl creates what it knows itself', (t) => generators(t, kubectl))
  await t.test('kubectl waits for conditions, fields and deletions', (t) => waits(t, kubectl))
  await t.test('a typing error is told by field and with what was meant', (t) => mistakes(t, kubectl))
}

async function aboutTheApi(t: Test, kubectl: Kubectl): Promise<void> {
  const resources = await kubectl.run(['api-resources', '-o', 'name'])
  const served = resources.stdout.split('\n')
  for (const kind of kinds) {
    t.ok(served.includes(kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`), kind.kind)
  }
  t.match((await kubectl.run(['api-versions'])).stdout, /^security\.istio\.io\/v1$/m)
  t.match(await kubectl.run(['version']), { code: 0, stdout: /Server Version/ })
  t.match(await kubectl.run(['cluster-info']), { code: 0, stdout: /is running at/ })
  t.match(await kubectl.run(['get', '--raw', '/readyz?verbose']), { code: 0, stdout: /readyz check passed/ })
  t.match(await kubectl.run(['get', 'all', '-A']), { code: 0 })
}

async function aboutMyself(t: Test, kubectl: Kubectl): Promise<void> {
  t.match(await kubectl.run(['auth', 'can-i', 'delete', 'services']), { code: 0, stdout: /^yes/ })
  t.match(await kubectl.run(['auth', 'can-i', '--list']), { code: 0, stdout: /\*\.\*/ })
}

async function generators(t: Test, kubectl: Kubectl): Promise<void> {
  t.match(await kubectl.run(['create', 'namespace', 'made']), { code: 0, stdout: /created/ })
  const service = ['create', 'service', 'clusterip', 'made', '--tcp=80:8080', '-n', 'made']
  t.match(await kubectl.run(service), { code: 0, stdout: /created/ })
  const got = await kubectl.run(['get', 'service', 'made', '-n', 'made', '-o', 'json'])
  t.match(JSON.parse(got.stdout).spec, { selector: { app: 'made' }, ports: [{ port: 80, targetPort: 8080 }] })
  t.match(await kubectl.run(['delete', 'namespace', 'made', '--timeout=30s']), { code: 0, stdout: /deleted/ })
  t.match(await kubectl.run(['get', 'service', '-n', 'made']), { code: 0, stderr: /No resources found/ })
}

const held = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'held', namespace: 'default', finalizers: ['culvert.test/hold'] },
  spec: { mtls: { mode: 'STRICT' } },
}

async function waits(t: Test, kubectl: Kubectl): Promise<void> {
  t.match(await kubectl.run(['apply', '-f', '-'], JSON.stringify(held)), { code: 0 })
  const wait = (what: string) => kubectl.run(['wait', `--for=${what}`, 'peerauthentication/held', '--timeout=30s'])
  t.match(await wait('jsonpath={.spec.mtls.mode}=STRICT'), { code: 0, stdout: /condition met/ })
  t.match(await wait('condition=Accepted'), { code: 0, stdout: /condition met/ })
  t.match(await kubectl.run(['delete', 'peerauthentication', 'held', '--wait=false']), { code: 0 })
  const gone = wait('delete')
  const free = ['patch', 'peerauthentication', 'held', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']
  t.match(await kubectl.run(free), { code: 0, stdout: /patched/ })
  // it says nothing where the object was gone before it looked
  t.match(await gone, { code: 0, stdout: /^$|condition met/ })
}

async function mistakes(t: Test, kubectl: Kubectl): Promise<void> {
  const wrong = { ...held, spec: { mtsl: { mode: 'STRICT' } } }
  const answer = await kubectl.run(['apply', '-f', '-'], JSON.stringify(wrong))
  t.match(answer, { code: 1, stderr: /unknown field "(?:spec\.)?mtsl"/ })
  const missing = await kubectl.run(['get', 'service', 'x', '-n', 'default'])
  t.match(missing, { code: 1, stderr: /Error from server \(NotFound\): services "x" not found/ })
  const forbidden = await kubectl.run(['delete', 'namespace', 'default'])
  t.match(forbidden, { code: 1, stderr: /Error from server \(Forbidden\): .*may not be deleted/ })
}

const command = await findKubectl()
if (command === undefined) {
  const why = 'kubectl 1.27 or newer is not on this machine'
  if (process.env['CI'] === undefined) t.pass(`not run: ${why}`)
  else t.fail(why)
} else await main(command)
