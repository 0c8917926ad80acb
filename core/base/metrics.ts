// Counters, gauges and histograms. Hot paths add to plain numbers (`Cell.add`, `Distribution.observe`); workers hand structured-cloneable snapshots to the main
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
  /** In the order of the family's `labelNames`; those of a bucket have its upper bound (`le`) at the end. */
  readonly labels: readonly string[]
  readonly value: number
  /** Which series of a histogram it belongs to. */
  readonly suffix?: '_bucket' | '_sum' | '_count'
}

type MetricType = 'counter' | 'gauge' | 'histogram'

export interface MetricFamilySnapshot {
  readonly name: string
  readonly help: string
  readonly type: MetricType
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

/** How often a value fell between which bounds. */
export class Distribution {
  readonly #bounds: readonly number[]
  /** Of each bound those at or below it and above the one before; the last for all that are above. */
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Array<number>(bounds.length + 1).fill(0)
  }

  observe(value: number): void {
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (value <= bounds[middle]!) high = middle
      else low = middle + 1
    }
    this.#counts[low]! += 1
    this.#sum += value
  }

  samples(labels: readonly string[]): readonly MetricSample[] {
    const samples: MetricSample[] = []
    let total = 0
    for (const [index, count] of this.#counts.entries()) {
      total += count
      const bound = index < this.#bounds.length ? String(this.#bounds[index]) : '+Inf'
      samples.push({ labels: [...labels, bound], value: total, suffix: '_bucket' })
    }
    samples.push({ labels, value: this.#sum, suffix: '_sum' }, { labels, value: total, suffix: '_count' })
    return samples
  }
}

/** A histogram with labels. */
export class HistogramFamily {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
  readonly #bounds: readonly number[]
  readonly #cells = new Map<string, { readonly labels: readonly string[]; readonly cell: Distribution }>()

  /** `bounds` grow. */
  constructor(name: string, help: string, labelNames: readonly string[], bounds: readonly number[]) {
    this.name = name
    this.help = help
    this.labelNames = [...labelNames]
    this.#bounds = [...bounds]
  }

  /** As Family.labels. */
  labels(values: readonly string[]): Distribution {
    const key = values.join(separator)
    const known = this.#cells.get(key)
    if (known !== undefined) return known.cell
    if (values.length !== this.labelNames.length) {
      throw new TypeError(`${this.name} has ${this.labelNames.length} labels, ${values.length} given`)
    }
    const cell = new Distribution(this.#bounds)
    this.#cells.set(key, { labels: [...values], cell })
    return cell
  }

  retain(keep: (labels: readonly string[]) => boolean): void {
    for (const [key, { labels }] of this.#cells) if (!keep(labels)) this.#cells.delete(key)
  }

  snapshot(): MetricFamilySnapshot {
    const samples = Array.from(this.#cells.values(), ({ labels, cell }) => cell.samples(labels)).flat()
    return { name: this.name, help: this.help, type: 'histogram', labelNames: this.labelNames, samples }
  }
}

/** The metrics of one thread. */
export class MetricSet {
  readonly #families = new Map<string, Family>()
  readonly #histograms = new Map<string, HistogramFamily>()

  counter(name: string, help: string, labelNames: readonly string[]): Family {
    return this.#family(name, help, 'counter', labelNames)
  }

  gauge(name: string, help: string, labelNames: readonly string[]): Family {
    return this.#family(name, help, 'gauge', labelNames)
  }

  /** `bounds`: upper ones of the buckets, growing; those of the first call for a name hold. */
  histogram(name: string, help: string, labelNames: readonly string[], bounds: readonly number[]): HistogramFamily {
    checkNames(name, labelNames)
    const known = this.#histograms.get(name)
    if (known !== undefined) return known
    if (this.#families.has(name)) throw new TypeError(`${name} is already registered with another type`)
    const family = new HistogramFamily(name, help, labelNames, bounds)
    this.#histograms.set(name, family)
    return family
  }

  snapshot(): MetricSnapshot {
    const all = [...this.#families.values(), ...this.#histograms.values()]
    return { families: all.map((family) => family.snapshot()) }
  }

  #family(name: string, help: string, type: 'counter' | 'gauge', labelNames: readonly string[]): Family {
    checkNames(name, labelNames)
    if (this.#histograms.has(name)) throw new TypeError(`${name} is already registered with another type`)
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

function checkNames(name: string, labelNames: readonly string[]): void {
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new TypeError(`not a metric name: ${name}`)
  const wrong = labelNames.find((label) => !/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(label))
  if (wrong !== undefined) throw new TypeError(`not a label name: ${wrong}`)
}

/** Adds up equal series of several snapshots; the first one that has a family gives help and order. Pure. */
export function mergeSnapshots(snapshots: readonly MetricSnapshot[]): MetricSnapshot {
  const merged = new Map<string, { readonly first: MetricFamilySnapshot; readonly sums: Map<string, MetricSample> }>()
  for (const { families } of snapshots) {
    for (const family of families) {
      let known = merged.get(family.name)
      if (known === undefined) {
        known = { first: family, sums: new Map() }
        merged.set(family.name, known)
      }
      const { first, sums } = known
      if (first.type !== family.type || first.labelNames.join(separator) !== family.labelNames.join(separator)) {
        throw new TypeError(`${family.name} comes with another type or other labels`)
      }
      for (const sample of family.samples) addSample(sums, sample)
    }
  }
  return { families: Array.from(merged.values(), ({ first, sums }) => ({ ...first, samples: [...sums.values()] })) }
}

function addSample(sums: Map<string, MetricSample>, sample: MetricSample): void {
  const key = `${sample.suffix ?? ''}${separator}${sample.labels.join(separator)}`
  const known = sums.get(key)
  sums.set(key, known === undefined ? sample : { ...known, value: known.value + sample.value })
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
    const values = family.samples.map(({ labels, value, suffix }) => {
      const names = suffix === '_bucket' ? [...family.labelNames, 'le'] : family.labelNames
      return {
        value,
        labels: Object.fromEntries(names.map((label, index) => [label, labels[index] ?? ''])),
        ...(suffix === undefined ? {} : { metricName: `${family.name}${suffix}` }),
      }
    })
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
