// A clock, seeded random numbers and a table of endpoints for the tests of the waypoint's balancing.
import {
  type Endpoint,
  type EndpointFacts,
  EndpointTable,
  type TableOptions,
} from '../../waypoint/balance/endpoint-table.ts'

/** The same numbers in [0, 1) for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function facts(key: string, more: Partial<EndpointFacts> = {}): EndpointFacts {
  return { key, target: { address: '10.0.0.1', port: 8080 }, weight: 1, healthy: true, ...more }
}

/** `count` endpoints named e0, e1 … */
export function many(count: number, more: Partial<EndpointFacts> = {}): readonly EndpointFacts[] {
  return Array.from({ length: count }, (_, index) => facts(`e${index}`, more))
}

export function world(set: readonly EndpointFacts[], options: Partial<TableOptions> = {}) {
  const time = { now: 0 }
  const clock = () => time.now
  const table = new EndpointTable({ clock, ...options })
  table.update(set)
  const get = (key: string): Endpoint => {
    const found = table.get(key)
    if (found === undefined) throw new Error(`no endpoint ${key}`)
    return found
  }
  return { time, clock, table, get, deps: { clock, random: seeded(1) } }
}

/** How often each key comes in so many picks. */
export function tally(times: number, pick: () => Endpoint | undefined): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let count = 0; count < times; count += 1) {
    const key = pick()?.key ?? 'nobody'
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}
