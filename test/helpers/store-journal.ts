// What a writer that was killed had said, and what must be in the store for it: of each name the last acknowledged state, or the
// one that was being written. Shared by store-writer.ts and store-kills.ts.
import type { Store } from '../../control/store/store.ts'
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'

export type JournalLine =
  | { readonly at: 'start'; readonly name: string; readonly value: string | null }
  | { readonly at: 'done'; readonly name: string; readonly value: string | null; readonly revision: number }
  | { readonly at: 'failed'; readonly name: string; readonly code: string; readonly text: string }

export const journalBucket = 'pairs'
const pairPrefix = 'pair '

export function writerKey(name: string): ObjectKey {
  return { group: '', kind: 'Service', namespace: 'shop', name }
}

/** Several pages of a database long, so that half of one would be seen. */
export function objectWith(name: string, value: string): MeshObject {
  const metadata = { name, namespace: 'shop' }
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { value, copies: Array.from({ length: 800 }, () => value) },
  }
}

/** The value of a whole object; throws where it is not of one piece. */
export function wholeValue(object: MeshObject): string {
  const { value, copies } = object.spec as { value: string; copies: readonly string[] }
  if (copies.length !== 800 || copies.some((copy) => copy !== value)) throw new Error(`${value} is not of one piece`)
  return value
}

interface Expected {
  readonly value: string | null
  readonly revision: number
  /** Written perhaps: started after the last acknowledgement, and not acknowledged. */
  readonly perhaps: readonly (string | null)[]
}

const nothing: Expected = { value: null, revision: 0, perhaps: [] }

export class Journal {
  readonly #expected = new Map<string, Expected>()
  readonly #counted = new Set<string>()
  readonly problems: string[] = []
  acknowledged = 0
  /** Started and never acknowledged, and of these the ones that were found in the store. */
  open = 0
  happened = 0
  failed = 0

  /** Lines of one writer, in order. A conflict is right only where a write before it was not acknowledged. */
  add(line: JournalLine): void {
    const before = this.#expected.get(line.name) ?? nothing
    if (line.at === 'start') {
      this.#expected.set(line.name, { ...before, perhaps: [...before.perhaps, line.value] })
    } else if (line.at === 'done') {
      this.acknowledged += 1
      this.#expected.set(line.name, { value: line.value, revision: line.revision, perhaps: [] })
    } else {
      this.failed += 1
      if (line.code !== 'STORE_FAILED' && before.perhaps.length < 2) this.problems.push(`${line.name}: ${line.text}`)
    }
  }

  /** Compares with the store, and takes over what is found for what was open. */
  async check(store: Store): Promise<void> {
    const { items } = await store.list({})
    this.checkObjects(items.map(({ key, object, revision }) => ({ name: key.name, value: piece(object), revision })))
    await this.#checkPairs(store)
  }

  checkObjects(items: readonly { readonly name: string; readonly value: string; readonly revision: number }[]): void {
    const found = new Map(items.map((item) => [item.name, item]))
    for (const name of found.keys()) if (!this.#expected.has(name)) this.problems.push(`${name}: nobody wrote it`)
    for (const [name, expected] of this.#expected) {
      if (!name.startsWith(pairPrefix)) this.#compare(name, expected, found.get(name) ?? null)
    }
  }

  async #checkPairs(store: Store): Promise<void> {
    const records = new Map((await store.records.list(journalBucket)).map(({ key, value }) => [key, value]))
    for (const [name, expected] of this.#expected) {
      if (!name.startsWith(pairPrefix)) continue
      const key = name.slice(pairPrefix.length)
      const [left, right] = [records.get(`${key}-left`), records.get(`${key}-right`)]
      if (left !== right) this.problems.push(`${name}: half of it is there: ${String(left)}, ${String(right)}`)
      else
        this.#compare(name, expected, left === undefined ? null : { value: String(left), revision: expected.revision })
    }
  }

  #compare(
    name: string,
    expected: Expected,
    found: { readonly value: string; readonly revision: number } | null,
  ): void {
    const value = found?.value ?? null
    if (!this.#counted.has(name)) this.open += expected.perhaps.length
    this.#counted.add(name)
    const isLast = value === expected.value && (found === null || found.revision === expected.revision)
    // a request of a killed writer may still be under way in etcd: it stays open
    if (isLast) return
    if (expected.perhaps.includes(value)) this.happened += 1
    else {
      const text = `is ${value}@${found?.revision ?? 0}, acknowledged was ${expected.value}@${expected.revision}`
      this.problems.push(`${name}: ${text}, open were ${expected.perhaps.join(', ') || 'none'}`)
    }
    this.#expected.set(name, { value, revision: found?.revision ?? 0, perhaps: [] })
  }
}

function piece(object: MeshObject): string {
  try {
    return wholeValue(object)
  } catch (error: unknown) {
    return String(error)
  }
}
