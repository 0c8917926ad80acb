// What the project asks of itself, as a table, and how a run stands against it. Pure; main.ts prints the verdicts below the results.
import { median, ratio, type Series } from './results.ts'
import type { Measured } from './subjects.ts'

export interface Goal {
  readonly scenario: string
  readonly metric: string
  /** The figure is Culvert's ratio to this subject; without it, Culvert's value. */
  readonly against?: Measured
  /** Must hold. */
  readonly floor: number
  /** What we are after. */
  readonly goal?: number
}

const peer = { against: 'haproxy' } as const
const old = { against: 'culvert-node-http2' } as const
const oneWay = [1, 8].flatMap((streams) => ['up', 'down'].map((way) => `bulk-${way}-${streams}`))
const ends = ['client', 'server'] as const

export const goals: readonly Goal[] = [
  { scenario: 'requests-128', metric: 'rate', ...peer, floor: 1.1, goal: 1.3 },
  { scenario: 'requests-32', metric: 'rate', ...peer, floor: 0.95, goal: 1.1 },
  { scenario: 'requests-32', metric: 'p99', ...peer, floor: 1.2 },
  { scenario: 'requests-1', metric: 'p50', ...peer, floor: 1.15 },
  { scenario: 'connections', metric: 'rate', ...peer, floor: 6 },
  ...oneWay.map((scenario) => ({ scenario, metric: 'rate', ...peer, floor: 0.75, goal: 0.9 })),
  ...['requests-32', 'requests-128'].map((scenario) => ({ scenario, metric: 'rate', ...old, floor: 1.25 })),
  ...oneWay.map((scenario) => ({ scenario, metric: 'rate', ...old, floor: 1.3 })),
  { scenario: 'messages-beside-bulk', metric: 'p99-beside/alone', floor: 3 },
  ...ends.map((end) => ({ scenario: 'memory', metric: `rss-idle-${end}`, floor: 70 })),
  ...ends.map((end) => ({ scenario: 'memory', metric: `per-connection-10k-${end}`, floor: 12 })),
]

export type Verdict = 'goal' | 'floor' | 'missed'

export interface Judged {
  readonly goal: Goal
  readonly figure: number
  readonly verdict: Verdict
}

/** Only what was measured. */
export function judge(all: readonly Series[], wanted: readonly Goal[] = goals): readonly Judged[] {
  return wanted.flatMap((goal) => {
    const series = all.find(({ scenario, metric }) => scenario === goal.scenario && metric === goal.metric)
    const figure = series === undefined ? undefined : figureOf(series, goal)
    if (series === undefined || figure === undefined) return []
    const reaches = (mark: number): boolean => (series.better === 'higher' ? figure >= mark : figure <= mark)
    const verdict = !reaches(goal.floor) ? 'missed' : reaches(goal.goal ?? goal.floor) ? 'goal' : 'floor'
    return [{ goal, figure, verdict }]
  })
}

function figureOf(series: Series, { against }: Goal): number | undefined {
  if (against !== undefined) return ratio(series, 'culvert', against)
  const rounds = series.subjects.get('culvert')
  return rounds === undefined ? undefined : median([...rounds.values()])
}

export function renderJudged(judged: readonly Judged[]): string {
  const lines = judged.map(({ goal, figure, verdict }) => {
    const what = `${goal.scenario} ${goal.metric}${goal.against === undefined ? '' : ` /${goal.against}`}`
    const marks = `floor ${goal.floor}${goal.goal === undefined ? '' : `, goal ${goal.goal}`}`
    return `${verdict.padEnd(6)}  ${what.padEnd(46)}  ${figure.toFixed(2).padStart(7)}  ${marks}\n`
  })
  return lines.join('')
}
