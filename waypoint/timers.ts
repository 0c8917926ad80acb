// Timers as the waypoint needs them, so that tests have their own.

export interface Timers {
  /** @returns for `stop` */
  start(callback: () => void, ms: number): object
  stop(timer: object): void
}

/** The most that setTimeout takes; it calls back at once for more. */
const longestMs = 2 ** 31 - 1

/** They do not keep a process alive. */
export const systemTimers: Timers = {
  start: (callback, ms) => setTimeout(callback, Math.min(Math.max(0, ms), longestMs)).unref(),
  stop: (timer) => clearTimeout(timer as NodeJS.Timeout),
}
