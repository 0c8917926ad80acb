// Writes to a store in several lanes until it is killed (store-kills.ts). Each line says what a lane is about to do or what was
// acknowledged, so that whoever killed it knows what must be there.
import { writeSync } from 'node:fs'
import { openEtcdStore } from '../../control/store/etcd.ts'
import { openSqliteStore } from '../../control/store/sqlite.ts'
import type { Store } from '../../control/store/store.ts'
import { MeshError } from '../../core/base/errors.ts'
import { type JournalLine, journalBucket, objectWith, wholeValue, writerKey } from './store-journal.ts'

const [kind = '', where = '', prefix = '', round = ''] = process.argv.slice(2)
const lanes = 8
const keysPerLane = 3

const store: Store =
  kind === 'etcd'
    ? await openEtcdStore({ endpoints: where.split(',').map((text) => new URL(text)), prefix })
    : await openSqliteStore(where)

function say(line: JournalLine): void {
  // process.stdout would keep lines to itself while the reader is slow, and lose them with the process
  writeSync(1, `${JSON.stringify(line)}\n`)
}

/** `next` is what is to be under the name; undefined nothing. Returns what is known to be there afterwards. */
async function change(name: string, next: string | undefined, known: { value?: string; revision: number } | undefined) {
  const key = writerKey(name)
  say({ at: 'start', name, value: next ?? null })
  if (next === undefined) {
    const { revision } = await store.delete(key, known?.revision)
    say({ at: 'done', name, value: null, revision })
    return undefined
  }
  const object = objectWith(name, next)
  const stored = known === undefined ? await store.create(key, object) : await store.update(key, object, known.revision)
  say({ at: 'done', name, value: next, revision: stored.revision })
  return { value: next, revision: stored.revision }
}

async function found(name: string): Promise<{ value?: string; revision: number } | undefined> {
  const stored = await store.get(writerKey(name))
  return stored === undefined ? undefined : { value: wholeValue(stored.object), revision: stored.revision }
}

/** Two records that belong together. */
async function pair(name: string, value: string): Promise<void> {
  say({ at: 'start', name: `pair ${name}`, value })
  await store.records.putAll(journalBucket, [
    { key: `${name}-left`, value },
    { key: `${name}-right`, value },
  ])
  say({ at: 'done', name: `pair ${name}`, value, revision: 0 })
}

async function lane(lane: number): Promise<void> {
  const known = new Map<string, { value?: string; revision: number } | undefined>()
  for (let step = 0; ; step += 1) {
    const name = `r${round}-l${lane}-${step % keysPerLane}`
    const value = `${round}.${lane}.${step}`
    // every name in turn is created, changed, changed and deleted
    const next = Math.floor(step / keysPerLane) % 4 === 3 ? undefined : value
    try {
      if (next !== undefined || known.get(name) !== undefined)
        known.set(name, await change(name, next, known.get(name)))
      if (step % 5 === 0) await pair(`r${round}-l${lane}`, value)
    } catch (error: unknown) {
      if (!(error instanceof MeshError)) throw error
      say({ at: 'failed', name, code: error.code, text: error.message })
      known.set(name, await patiently(() => found(name)))
    }
  }
}

/** etcd may be away for longer than one call waits. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error: unknown) {
      if (!(error instanceof MeshError) || error.code !== 'STORE_FAILED') throw error
    }
  }
}

await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)))
