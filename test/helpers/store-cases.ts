// What the cases of the store conformance table are made of (test/direct/store-conformance.ts).
import type { Test } from 'tap'
import type { Store, StoreEvent } from '../../control/store/store.ts'
import { MeshError } from '../../core/base/errors.ts'
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'

export interface StoreUnderTest {
  readonly store: Store
  /** Another look at the same data, as after a restart. The first store is closed. */
  reopen(): Promise<Store>
}

export interface ConformanceCase {
  readonly name: string
  /** Runs with a fresh store that keeps 20 changes of history. */
  run(t: Test, under: StoreUnderTest): Promise<void>
}

export function keyOf(name: string, namespace = 'shop', kind = 'Service'): ObjectKey {
  return { group: '', kind, namespace, name }
}

export function objectOf(name: string, value = 'a', namespace = 'shop'): MeshObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace, labels: { value } }, spec: { value } }
}

/** The first `count` events, with a deadline. */
export async function take(events: AsyncIterable<StoreEvent>, count: number): Promise<readonly StoreEvent[]> {
  const taken: StoreEvent[] = []
  for await (const event of events) {
    taken.push(event)
    if (taken.length === count) return taken
  }
  return taken
}

export const soon = (): AbortSignal => AbortSignal.timeout(5000)

export function summary(events: readonly StoreEvent[]): readonly string[] {
  return events.map(({ type, stored }) => `${type} ${stored.key.namespace}/${stored.key.name}@${stored.revision}`)
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'resolved'
  } catch (error: unknown) {
    return error instanceof MeshError ? error.code : String(error)
  }
}

/** Asks again until it is so; throws after ten seconds. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('it does not come true')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
