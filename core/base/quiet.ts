// Collects the garbage of a thread that has become quiet. V8 itself collects only where something is allocated: what a start or a
// rush of connections left behind would stay for as long as nothing happens. Started by the main thread and the workers of a daemon.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A thread that works less than this share of its time (some ten requests a second) is unlikely to be asked in a pause. */
const quietShare = 0.004
/** So much work leaves something to collect. */
const leastWorkMs = 30
const mostWorkMs = 250
/** Up to here everything is collected, code that is not needed included (20 ms); above, a collection as V8 does them. */
const thoroughBytes = 32 * 1024 * 1024
/**
 * A thread that has worked so long in all is likely to go on with this work after a pause, and a collection costs it what V8 has
 * compiled (measured: three times as many instructions for each new connection in the second after one). So its pause has to be longer.
 */
const warmMs = 6_000
const warmPauseMs = 60_000

/** Decides when. Pure. */
export class QuietWatch {
  #workedMs = 0
  #neededMs = leastWorkMs
  #inAllMs = 0
  #pauseMs = 0

  get #warm(): boolean {
    return this.#inAllMs >= warmMs
  }

  /** @param share of the last `ms` milliseconds that the thread worked */
  worthIt(share: number, ms: number): boolean {
    this.#workedMs += share * ms
    this.#inAllMs += share * ms
    this.#pauseMs = share < quietShare ? this.#pauseMs + ms : 0
    if (this.#pauseMs === 0 || this.#workedMs < this.#neededMs) return false
    return !this.#warm || this.#pauseMs >= warmPauseMs
  }

  /** What cost much pays off only after more work. */
  collected(costMs: number): void {
    this.#workedMs = 0
    this.#neededMs = Math.min(mostWorkMs, Math.max(leastWorkMs, 5 * costMs))
  }
}

/** For this thread and those that it starts from now on; without it `collectWhenQuiet` does nothing. */
export function allowCollecting(): void {
  setFlagsFromString('--expose-gc')
}

const everyMs = 1_000

/** Looks again and again until the thread ends, and calls `then` after a collection. Its timer keeps no process alive. */
export function collectWhenQuiet(then: () => void): void {
  const collect = collector()
  if (collect === undefined) return
  const watch = new QuietWatch()
  let last = performance.eventLoopUtilization()
  const look = (): void => {
    const now = performance.eventLoopUtilization()
    const { utilization, active, idle } = performance.eventLoopUtilization(now, last)
    last = now
    if (!watch.worthIt(utilization, active + idle)) return
    const thorough = process.memoryUsage().heapUsed < thoroughBytes
    const startedAt = performance.now()
    collect({ type: 'major', ...(thorough ? { flavor: 'last-resort' } : {}) })
    watch.collected(performance.now() - startedAt)
    then()
    last = performance.eventLoopUtilization()
  }
  setInterval(look, everyMs).unref()
}

type Collector = (options: { readonly type: 'major'; readonly flavor?: 'last-resort' }) => void

/** V8's own `gc`: global in threads that were started after `allowCollecting`, in the first one only in new contexts. */
function collector(): Collector | undefined {
  const found: unknown = globalThis.gc ?? runInNewContext('typeof gc === "function" ? gc : undefined')
  return typeof found === 'function' ? (found as Collector) : undefined
}
