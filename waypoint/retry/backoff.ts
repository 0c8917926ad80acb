// How long to wait before a retry. Pure; asked by retrier.ts.

export interface BackoffOptions {
  /** Envoy's 25 where absent. */
  readonly baseMs?: number | undefined
  /** Gateway API: the base is the least to wait, not the scale of the jitter. */
  readonly atLeastBase?: boolean | undefined
}

export const defaultBackoffMs = 25
/** The longest wait is so many times the base. */
const cap = 10

/**
 * Milliseconds before retry `retry`, 1 the first. Full jitter: uniform in [0, (2^N - 1) × base), below 10 × base. With `atLeastBase`
 * uniform from the base on, with a quarter of that jitter on top.
 * @param random [0, 1)
 */
export function backoffMs(retry: number, options: BackoffOptions, random: () => number): number {
  const baseMs = options.baseMs ?? defaultBackoffMs
  const jitterMs = random() * Math.min(2 ** retry - 1, cap) * baseMs
  return options.atLeastBase === true ? baseMs + jitterMs / 4 : jitterMs
}
