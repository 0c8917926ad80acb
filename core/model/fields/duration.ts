// Durations as Istio's kinds write them: `1.5s`, `100ms`, `1h30m` (Go's time.ParseDuration). Shared by the tables of the routing
// kinds; the waypoint reads the values with `durationMs`.
import type { StringField } from './field.ts'
import { text } from './parts.ts'
import { clip } from './rules.ts'

const units: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  μs: 0.001,
  ns: 0.000_001,
}

const whole = /^(?:(?:\d+\.?\d*|\.\d+)(?:h|ms|m|s|us|µs|μs|ns))+$/
const part = /(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|μs|ns)/g
/** Go counts nanoseconds in 63 bits. */
const mostMs = 9_223_372_036_854

/** Milliseconds, with fractions; undefined where the text is no duration or is too long. */
export function durationMs(value: string): number | undefined {
  if (value === '0') return 0
  if (!whole.test(value)) return undefined
  let sum = 0
  for (const [, number, unit] of value.matchAll(part)) sum += Number(number) * units[unit!]!
  return sum <= mostMs ? sum : undefined
}

/** At least 1 ms, and whole milliseconds. */
export function positiveDuration(value: string): string | undefined {
  const ms = durationMs(value)
  if (ms === undefined) return notADuration(value)
  if (ms < 1) return `"${clip(value)}" is less than 1ms`
  // sums of fractions such as 0.1s + 0.2s are not exact
  return Math.abs(ms - Math.round(ms)) > 1e-6 ? `"${clip(value)}" is finer than a millisecond` : undefined
}

export function anyDuration(value: string): string | undefined {
  return durationMs(value) === undefined ? notADuration(value) : undefined
}

function notADuration(value: string): string {
  return `"${clip(value)}" is not a duration such as 1.5s, 100ms or 1h30m`
}

export function duration<const Extra extends Partial<StringField> = Record<never, never>>(what: string, extra?: Extra) {
  return { ...text(what, { check: positiveDuration }), ...(extra as Extra) } as const
}

/** 0s is allowed and means: none. */
export function durationOrNone(what: string) {
  return text(what, { check: anyDuration })
}
