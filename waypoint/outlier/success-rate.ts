// Envoy's success-rate outliers: who succeeds clearly less often in an interval than the endpoints do on the average. Pure.

export interface SuccessRateOptions {
  /** Endpoints with enough requests, or nobody is compared. */
  readonly minimumHosts: number
  /** Requests of an interval from which an endpoint is compared. */
  readonly requestVolume: number
  /** Standard deviations below the mean. */
  readonly deviations: number
}

/** Envoy's. */
export const successRateDefaults: SuccessRateOptions = { minimumHosts: 5, requestVolume: 100, deviations: 1.9 }

export interface HostRate {
  readonly key: string
  readonly requests: number
  readonly successes: number
}

/** @returns keys of those below mean - deviations × standard deviation */
export function outliersBySuccessRate(hosts: readonly HostRate[], options: SuccessRateOptions): readonly string[] {
  const compared = hosts
    .filter(({ requests }) => requests > 0 && requests >= options.requestVolume)
    .map(({ key, requests, successes }) => ({ key, rate: (100 * successes) / requests }))
  if (compared.length === 0 || compared.length < options.minimumHosts) return []
  const mean = compared.reduce((sum, { rate }) => sum + rate, 0) / compared.length
  const variance = compared.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / compared.length
  const threshold = mean - options.deviations * Math.sqrt(variance)
  return compared.filter(({ rate }) => rate < threshold).map(({ key }) => key)
}
