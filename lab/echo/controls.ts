// What a caller may ask of the echo workload by query: `delay`, `responseCode`, `succeedAfter` with `uuid`. Pure but for the
// counter of attempts, which is bounded.
import { LRUCache } from 'lru-cache'

export interface EchoControls {
  readonly delayMs: number
  readonly status: number
}

export type ControlsResult =
  | { readonly ok: true; readonly controls: EchoControls }
  | { readonly ok: false; readonly message: string }

/** Counts attempts per uuid, for `succeedAfter`. Remembers the last 10,000. */
export class Attempts {
  readonly #counts = new LRUCache<string, number>({ max: 10_000 })

  /** The number of this attempt, from 1. */
  next(uuid: string): number {
    const count = (this.#counts.get(uuid) ?? 0) + 1
    this.#counts.set(uuid, count)
    return count
  }
}

/**
 * `delay=250ms`: answer after that long. `responseCode=503`: answer with that status. `succeedAfter=2&uuid=x`: the first two
 * attempts with this uuid answer `responseCode` (500 if absent), later ones 200.
 */
export function readControls(query: URLSearchParams, attempts: Attempts): ControlsResult {
  const delayMs = parseDuration(query.get('delay'))
  if (delayMs === undefined)
    return { ok: false, message: `delay: "${query.get('delay')}" is not a duration such as 250ms` }
  const code = query.get('responseCode')
  if (code !== null && !/^[2-5]\d\d$/.test(code)) {
    return { ok: false, message: `responseCode: "${code}" is not a status from 200 to 599` }
  }
  const succeedAfter = query.get('succeedAfter')
  if (succeedAfter === null) return { ok: true, controls: { delayMs, status: Number(code ?? 200) } }
  const uuid = query.get('uuid')
  if (!/^\d{1,6}$/.test(succeedAfter) || uuid === null || uuid === '' || uuid.length > 128) {
    return { ok: false, message: 'succeedAfter needs a number, and a uuid that names the series of attempts' }
  }
  const failing = attempts.next(uuid) <= Number(succeedAfter)
  return { ok: true, controls: { delayMs, status: failing ? Number(code ?? 500) : 200 } }
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 }

/** Go durations of one or more parts (`1m30s`, `250ms`, `1.5s`); null means none; at most ten minutes. */
export function parseDuration(text: string | null): number | undefined {
  if (text === null || text === '0') return 0
  if (!/^(\d+(\.\d+)?(ms|s|m))+$/.test(text)) return undefined
  let total = 0
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m)/g)) total += Number(value) * (units[unit!] ?? 0)
  return total <= 600_000 ? total : undefined
}
