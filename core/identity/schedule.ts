// When to ask for a certificate again: pure arithmetic over milliseconds, called by the certificate cache.
import { backoff } from '../base/deadline.ts'

const jitter = 0.1
const shortestMs = 250
const firstRetryMs = 1_000
const longestRetryMs = 150_000
/** Without a certificate nothing works, so the control plane's return must not be waited for long. */
const longestRetryWithoutMs = 15_000
const issueDeadlineMs = 10_000

export interface Validity {
  readonly notBefore: number
  readonly notAfter: number
  readonly receivedAt: number
}

/**
 * Time of renewal: half of what was left when the certificate arrived, ±10 %. Counting from arrival and not from `notBefore`
 * keeps a CA that backdates a 20 s certificate by a minute from causing a renewal loop.
 */
export function renewalTime(validity: Validity, random: () => number): number {
  const start = Math.min(Math.max(validity.notBefore, validity.receivedAt), validity.notAfter)
  const half = (validity.notAfter - start) / 2
  return start + half * (1 - jitter + 2 * jitter * random())
}

/** Milliseconds until `time`, never so few that a broken answer becomes a busy loop. */
export function delayUntil(time: number, now: number): number {
  return Math.max(shortestMs, time - now)
}

/** Milliseconds before retry `attempt` (0 is the first): 1 s to 150 s, but several times in what is left of the valid one. */
export function retryDelay(attempt: number, validUntil: number | undefined, now: number, random: () => number): number {
  const left = validUntil === undefined ? 0 : validUntil - now
  const maxMs =
    left <= 0 ? longestRetryWithoutMs : Math.min(longestRetryMs, Math.max(firstRetryMs, Math.floor(left / 5)))
  return backoff(attempt, { baseMs: Math.min(firstRetryMs, maxMs), maxMs }, random)
}

/** How long one request may take: less where the valid certificate ends soon, so that a hung one leaves time for another. */
export function issueTimeout(validUntil: number | undefined, now: number): number {
  const left = validUntil === undefined ? 0 : validUntil - now
  return left <= 0 ? issueDeadlineMs : Math.min(issueDeadlineMs, Math.max(2_000, Math.floor(left / 3)))
}
