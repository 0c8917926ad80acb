// The outcome of a run: per case for people, and as JSON with the share that passes of each profile and level. Pure.
import type { CaseOutcome } from './lab-run.ts'

export interface Share {
  readonly profile: string
  readonly level: string
  /** Tests of the suite; one with several cases passes where all of them do. */
  readonly tests: number
  readonly passed: number
  readonly percent: number
  readonly failing: readonly string[]
}

/** Issue 5: all of core, nine tenths of extended. */
const floors: Readonly<Record<string, number>> = { core: 100, extended: 90 }

export function sharesOf(outcomes: readonly CaseOutcome[]): readonly Share[] {
  const groups = Map.groupBy(outcomes, ({ profile, level }) => `${profile} ${level}`)
  return [...groups.values()].map((group) => {
    const [{ profile, level }] = group as [CaseOutcome]
    const tests = Map.groupBy(group, ({ name }) => name)
    const failing = [...tests]
      .filter(([, cases]) => cases.some(({ problems }) => problems.length > 0))
      .map(([name]) => name)
    const passed = tests.size - failing.length
    return {
      profile,
      level,
      tests: tests.size,
      passed,
      percent: Math.round((1_000 * passed) / tests.size) / 10,
      failing,
    }
  })
}

/** Where less passes than must. */
export function belowFloor(shares: readonly Share[]): readonly Share[] {
  return shares.filter(({ level, percent }) => percent < (floors[level] ?? 0))
}

export function lineOf({ profile, level, name, problems, rounds, seconds }: CaseOutcome): string {
  const verdict = problems.length === 0 ? 'ok  ' : 'FAIL'
  const more = rounds > 1 ? `, ${rounds} rounds` : ''
  return [
    `${verdict} ${profile} ${level} ${name} (${seconds} s${more})`,
    ...problems.map((each) => `       ${each}`),
  ].join('\n')
}

export function summaryOf(shares: readonly Share[]): string {
  return shares
    .map(({ profile, level, tests, passed, percent, failing }) => {
      const rest = failing.length === 0 ? '' : `  without ${failing.join(', ')}`
      return `${profile} ${level}: ${passed} of ${tests}, ${percent} %${rest}`
    })
    .join('\n')
}
