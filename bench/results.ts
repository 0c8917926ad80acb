// From samples to figures: medians over rounds, and ratios between subjects that ran next to each other. Pure; unit tested.

export type Better = 'higher' | 'lower'

/** What one run of a scenario found. */
export interface Sample {
  readonly metric: string
  readonly value: number
  readonly unit: string
  readonly better: Better
}

/** A sample and the run that it is from. */
export interface RoundSample extends Sample {
  readonly scenario: string
  readonly subject: string
  readonly round: number
}

/** One entry of bench/results/latest.json. Ratios are value by value of the same rounds; null where the other was not measured. */
export interface Result extends Sample {
  readonly scenario: string
  readonly subject: string
  readonly rounds: number
  readonly ratioToDirect: number | null
  readonly ratioToHaproxy: number | null
}

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('no median of nothing')
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

type ByRound = ReadonlyMap<number, number>

/** Values of one metric of one scenario, by subject and round, in the order in which they came. */
export interface Series {
  readonly scenario: string
  readonly metric: string
  readonly unit: string
  readonly better: Better
  readonly subjects: ReadonlyMap<string, ByRound>
}

export function seriesOf(samples: readonly RoundSample[]): readonly Series[] {
  const found = new Map<string, { first: RoundSample; subjects: Map<string, Map<number, number>> }>()
  for (const sample of samples) {
    const key = `${sample.scenario}\n${sample.metric}`
    const entry = found.get(key) ?? { first: sample, subjects: new Map() }
    found.set(key, entry)
    const rounds = entry.subjects.get(sample.subject) ?? new Map<number, number>()
    entry.subjects.set(sample.subject, rounds)
    rounds.set(sample.round, sample.value)
  }
  return [...found.values()].map(({ first: { scenario, metric, unit, better }, subjects }) => {
    return { scenario, metric, unit, better, subjects }
  })
}

/**
 * How a subject compares to another one: the median of their ratios round by round. Neighbours in time share what else the
 * machine does, so this is steadier than a ratio of medians. Undefined where no round has both, or the other is nought.
 */
export function ratio(series: Series, subject: string, other: string): number | undefined {
  const [mine, theirs] = [series.subjects.get(subject), series.subjects.get(other)]
  if (mine === undefined || theirs === undefined) return undefined
  const ratios = [...mine].flatMap(([round, value]) => {
    const against = theirs.get(round)
    return against === undefined || against === 0 ? [] : [value / against]
  })
  return ratios.length === 0 ? undefined : median(ratios)
}

export function resultsOf(samples: readonly RoundSample[]): readonly Result[] {
  return seriesOf(samples).flatMap((series) =>
    [...series.subjects].map(([subject, rounds]) => ({
      scenario: series.scenario,
      subject,
      metric: series.metric,
      value: rounded(median([...rounds.values()])),
      unit: series.unit,
      better: series.better,
      rounds: rounds.size,
      ratioToDirect: orNull(ratio(series, subject, 'direct')),
      ratioToHaproxy: orNull(ratio(series, subject, 'haproxy')),
    })),
  )
}

function orNull(value: number | undefined): number | null {
  return value === undefined ? null : rounded(value)
}

/** Four digits say all that a run can. */
function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
