// Counters and gauges. Hot paths add to plain numbers (`Cell.add`); workers hand structured-cloneable snapshots to the main
// thread, which adds equal series up and writes the Prometheus text format through prom-client.
import { createRequire } from 'node:module'

/** One series. `add` and `set` touch a plain number and nothing else. */
export class Cell {
  value = 0

  add(n: number): void {
    this.value += n
  }

  set(n: number): void {
    this.value = n
  }
}

export interface MetricSample {
  /** In the order of the family's `labelNames`. */
  readonly labels: readonly string[]
  readonly value: number
}

export interface MetricFamilySnapshot {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly labelNames: readonly string[]
  readonly samples: readonly MetricSample[]
}

/** Plain data: may cross threads and processes. */
export interface MetricSnapshot {
  readonly families: readonly MetricFamilySnapshot[]
}

/** No label value that people or the mesh make contains this character, so joined values are a unique key. */
const separator = '\u0000'

/** A metric with labels. */
export class Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly labelNames: readonly string[]
  readonly #cells = new Map<string, { readonly labels: readonly string[]; readonly cell: Cell }>()

  constructor(name: string, help: string, type: 'counter' | 'gauge', labelNames: readonly string[]) {
    this.name = name
    this.help = help
    this.type = type
    this.labelNames = [...labelNames]
  }

  /** The series with these label values, in the order of `labelNames`; made on first use. Keep the cell on hot paths. */
  labels(values: readonly string[]): Cell {
    const key = values.join(separator)
    const known = this.#cells.get(key)
    if (known !== undefined) return known.cell
    if (values.length !== this.labelNames.length) {
      throw new TypeError(`${this.name} has ${this.labelNames.length} labels, ${values.length} given`)
    }
    const cell = new Cell()
    this.#cells.set(key, { labels: [...values], cell })
    return cell
  }

  /** Drops the series for which `keep` is false, such as those of a workload that is gone. Kept cells stay valid. */
  retain(keep: (labels: readonly string[]) => boolean): void {
    for (const [key, { labels }] of this.#cells) if (!keep(labels)) this.#cells.delete(key)
  }

  snapshot(): MetricFamilySnapshot {
    const samples = Array.from(this.#cells.values(), ({ labels, cell }) => ({ labels, value: cell.value }))
    return { name: this.name, help: this.help, type: this.type, labelNames: this.labelNames, samples }
  }
}

/** The metrics of one thread. */
export class MetricSet {
  readonly #families = new Map<string, Family>()

  counter(name: string, help: string, labelNames: readonly string[]): Family {
    return this.#family(name, help, 'counter', labelNames)
  }

  gauge(name: string, help: string, labelNames: readonly string[]): Family {
    return this.#family(name, help, 'gauge', labelNames)
  }

  snapshot(): MetricSnapshot {
    return { families: Array.from(this.#families.values(), (family) => family.snapshot()) }
  }

  #family(name: string, help: string, type: 'counter' | 'gauge', labelNames: readonly string[]): Family {
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new TypeError(`not a metric name: ${name}`)
    const wrong = labelNames.find((label) => !/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(label))
    if (wrong !== undefined) throw new TypeError(`not a label name: ${wrong}`)
    const known = this.#families.get(name)
    if (known === undefined) {
      const family = new Family(name, help, type, labelNames)
      this.#families.set(name, family)
      return family
    }
    if (known.type !== type || known.labelNames.join(separator) !== labelNames.join(separator)) {
      throw new TypeError(`${name} is already registered with another type or other labels`)
    }
    return known
  }
}

/** Adds up equal series of several snapshots; the first one that has a family gives help and order. Pure. */
export function mergeSnapshots(snapshots: readonly MetricSnapshot[]): MetricSnapshot {
  const merged = new MetricSet()
  for (const { families } of snapshots) {
    for (const { name, help, type, labelNames, samples } of families) {
      const family = type === 'counter' ? merged.counter(name, help, labelNames) : merged.gauge(name, help, labelNames)
      for (const { labels, value } of samples) family.labels(labels).add(value)
    }
  }
  return merged.snapshot()
}

/** The media type of `exposition`. */
export const expositionType = 'text/plain; version=0.0.4; charset=utf-8'

/** Prometheus text format of the sum of all snapshots. prom-client is loaded at the first scrape only. */
export async function exposition(snapshots: () => Promise<readonly MetricSnapshot[]>): Promise<string> {
  // Only its registry: the rest of the package costs 15 MB of memory in every process that is scraped.
  const Registry = createRequire(import.meta.url)(
    'prom-client/lib/registry.js',
  ) as typeof import('prom-client').Registry
  const registry = new Registry()
  for (const family of mergeSnapshots(await snapshots()).families) {
    const values = family.samples.map(({ labels, value }) => ({
      value,
      labels: Object.fromEntries(family.labelNames.map((label, index) => [label, labels[index] ?? ''])),
    }))
    const metric = { name: family.name, help: family.help, type: family.type, values, aggregator: 'sum' }
    // Not a prom-client Counter: that one keys series by unescaped `name:value,` text, which two series can share.
    registry.registerMetric(collectable(metric))
  }
  return registry.metrics()
}

type Registered = Parameters<import('prom-client').Registry['registerMetric']>[0]

/** The registry only ever calls `get` and reads `name` of what it holds. */
function collectable(metric: { readonly name: string } & object): Registered {
  return { name: metric.name, get: () => Promise.resolve(metric) } as unknown as Registered
}
