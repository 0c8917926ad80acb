// What stays the same for all connections of one caller, one called and one service: labels, the constant fields of the access
// log, counters. Found by the objects of the model, so that a short connection formats next to nothing. Owned by Telemetry.
import { type LineWriter, type Logger, lineWriter } from '../../core/base/log.ts'
import type { Identity } from '../../core/identity/spiffe.ts'
import type { Service, Workload } from '../../core/model/types.ts'
import { pairFields } from './access-log.ts'
import { type ConnectionFacts, labelValues } from './labels.ts'
import type { Series, SeriesTable } from './series.ts'

/** Beyond it all are found anew, which also lets go of workloads that left the model. */
const maxPairs = 4_096

/** The message of the line that each connection ends with. */
export const completed = 'connection complete'

export class Pair {
  /** Writes lines with the fields that both ends and the service give. */
  readonly log: Logger
  /** Writes the line of a connection without an error, given its members; whether the level is on is asked before. */
  readonly complete: LineWriter
  readonly #facts: ConnectionFacts
  readonly #table: SeriesTable
  readonly #clusterName: string
  #series: Series | undefined

  constructor(facts: ConnectionFacts, table: SeriesTable, log: Logger, clusterName: string) {
    this.#facts = facts
    this.#table = table
    this.#clusterName = clusterName
    this.log = log.child(pairFields(facts, clusterName))
    this.complete = lineWriter(this.log, 'info', completed)
  }

  /** The counters of connections that have no error. */
  get series(): Series {
    const known = this.#series
    if (known?.lastUse !== undefined) {
      this.#table.used(known)
      return known
    }
    this.#series = this.failedSeries('-')
    return this.#series
  }

  /** @param flag the access-log flag of the error */
  failedSeries(flag: string): Series {
    return this.#table.get(labelValues(this.#facts, this.#clusterName, flag))
  }

  /** Whether these facts give the same labels and fields; `source.workload` is known to be the same. */
  fits(facts: ConnectionFacts): boolean {
    const mine = this.#facts
    return (
      mine.destination.workload === facts.destination.workload &&
      mine.service === facts.service &&
      mine.reporter === facts.reporter &&
      mine.secure === facts.secure &&
      sameIdentity(mine.source.identity, facts.source.identity)
    )
  }
}

export class Pairs {
  readonly #table: SeriesTable
  readonly #log: Logger
  #bySource = new Map<Workload | undefined, Map<Workload | Service | undefined, Pair[]>>()
  #count = 0
  #clusterName = ''

  constructor(table: SeriesTable, log: Logger) {
    this.#table = table
    this.#log = log
  }

  get(facts: ConnectionFacts, clusterName: string): Pair {
    if (clusterName !== this.#clusterName || this.#count >= maxPairs) this.clear()
    this.#clusterName = clusterName
    const list = this.#listOf(facts)
    for (const pair of list) if (pair.fits(facts)) return pair
    const pair = new Pair(facts, this.#table, this.#log, clusterName)
    list.push(pair)
    this.#count += 1
    return pair
  }

  /** The level or a name in all of them changed. */
  clear(): void {
    this.#bySource = new Map()
    this.#count = 0
  }

  #listOf({ source, destination, service }: ConnectionFacts): Pair[] {
    let byDestination = this.#bySource.get(source.workload)
    if (byDestination === undefined) {
      byDestination = new Map()
      this.#bySource.set(source.workload, byDestination)
    }
    const called = destination.workload ?? service
    let list = byDestination.get(called)
    if (list === undefined) {
      list = []
      byDestination.set(called, list)
    }
    return list
  }
}

function sameIdentity(a: Identity | undefined, b: Identity | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return a === b
  return a.namespace === b.namespace && a.serviceAccount === b.serviceAccount && a.trustDomain === b.trustDomain
}
