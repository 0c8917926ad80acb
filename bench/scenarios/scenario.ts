// What a scenario is to the runner: a name, where it belongs, and one run against one target.
import type { Sample } from '../results.ts'
import type { Target } from '../target.ts'

export interface RunSettings {
  /** How long a run measures. */
  readonly seconds: number
  /** Requests per second of the open loop. */
  readonly rate: number
  readonly churnMinutes: number
}

export interface Scenario {
  readonly name: string
  /** What `--scenarios` takes, besides the name. */
  readonly group: string
  readonly quick: boolean
  /** Also run against peers without redirection. */
  readonly uncaptured: boolean
  /** `rounds`: all subjects in turn, again and again; `once`: all in turn, a single time; `together`: all at the same time. */
  readonly how: 'rounds' | 'once' | 'together'
  /** So many times its length it runs before the first of the rounds, uncounted: code is compiled for this kind of work then. */
  readonly leadIn: number
  /** Samples as they are found, so that those before a failure count. */
  run(target: Target, settings: RunSettings): AsyncIterable<Sample>
}
