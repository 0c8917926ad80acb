// What a caller may ask of the echo workload: by query, in HTTP; by metadata of the same names with `x-echo-` in front, in gRPC.
// Pure.

/** How an answer is broken off or broken; faults.ts does it. */
export const faults = [
  'reset',
  'close',
  'refused',
  'goaway',
  'truncate',
  'truncate-chunked',
  'garbage',
  'two-lengths',
  'length-and-chunked',
  'extra-bytes',
  'unasked-upgrade',
] as const
export type EchoFault = (typeof faults)[number]

export interface EchoControls {
  /** Before the answer begins. */
  readonly delayMs: number
  readonly status: number
  readonly fault: EchoFault | undefined
}

export type ControlsResult =
  | { readonly ok: true; readonly controls: EchoControls }
  | { readonly ok: false; readonly message: string }

type Asked = (name: string) => string | null

/** The series that a request belongs to; undefined where it names none. */
export function seriesOf(asked: Asked): string | undefined {
  const uuid = asked('uuid')
  return uuid === null || uuid === '' || uuid.length > 128 ? undefined : uuid
}

/**
 * - `delay=250ms`: answer after that long.
 * - `responseCode=503`: answer with that status. `status=503,503,200` with `uuid`: one after the other, the last one from then on.
 * - `fault=reset`: break the answer in that way.
 * - `succeedAfter=2&uuid=x`: only the first two requests of this series fail (with `responseCode`, 500 if absent, or with
 *   `fault`), later ones succeed. `delayRetry=1s`: those that fail take that long.
 *
 * @param attempt of this request in its series, from 1
 */
export function readControls(asked: Asked, attempt: number): ControlsResult {
  const problem = problemOf(asked)
  if (problem !== undefined) return { ok: false, message: problem }
  const code = asked('responseCode')
  const fault = (asked('fault') ?? undefined) as EchoFault | undefined
  const delayMs = parseDuration(asked('delay')) ?? 0
  const sequence = asked('status')?.split(',')
  if (sequence !== undefined) {
    const status = Number(sequence[Math.min(attempt, sequence.length) - 1])
    return { ok: true, controls: { delayMs, status, fault } }
  }
  const succeedAfter = asked('succeedAfter')
  if (succeedAfter === null) return { ok: true, controls: { delayMs, status: Number(code ?? 200), fault } }
  if (attempt > Number(succeedAfter)) return { ok: true, controls: { delayMs, status: 200, fault: undefined } }
  const failingMs = delayMs + (parseDuration(asked('delayRetry')) ?? 0)
  return { ok: true, controls: { delayMs: failingMs, status: Number(code ?? 500), fault } }
}

const status = /^[2-5]\d\d$/

function problemOf(asked: Asked): string | undefined {
  for (const name of ['delay', 'delayRetry']) {
    const text = asked(name)
    if (parseDuration(text) === undefined) return `${name}: "${text}" is not a duration such as 250ms`
  }
  const code = asked('responseCode')
  if (code !== null && !status.test(code)) return `responseCode: "${code}" is not a status from 200 to 599`
  const sequence = asked('status')?.split(',') ?? []
  if (!sequence.every((each) => status.test(each)))
    return 'status: a list of statuses from 200 to 599, such as 503,503,200'
  const fault = asked('fault')
  if (fault !== null && !faults.some((each) => each === fault)) return `fault: one of ${faults.join(', ')}`
  const succeedAfter = asked('succeedAfter')
  const counting = succeedAfter !== null || sequence.length > 1
  if (counting && seriesOf(asked) === undefined) return 'succeedAfter and status need a uuid that names the series'
  if (succeedAfter !== null && !/^\d{1,6}$/.test(succeedAfter)) return 'succeedAfter needs a number'
  return undefined
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
