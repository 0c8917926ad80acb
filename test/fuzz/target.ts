// One thing to fuzz. Run for long by main.ts, shortly and with fixed seeds by test/unit/fuzz.test.ts.
import fc from 'fast-check'

export interface Runs {
  readonly seed: number
  readonly count: number
  /** The one run to repeat, as a failure names it. */
  readonly path?: string
}

export interface FuzzTarget {
  readonly name: string
  /** Makes sockets or sessions: fewer runs do. */
  readonly slow: boolean
  /** Resolves to what failed, with what repeats it, or undefined. */
  readonly run: (runs: Runs) => Promise<string | undefined>
}

export function fuzzTarget<Values>(name: string, property: fc.IAsyncProperty<Values>, slow = false): FuzzTarget {
  const run = async ({ seed, count, path }: Runs): Promise<string | undefined> => {
    const details = await fc.check(property, { seed, numRuns: count, ...(path === undefined ? {} : { path }) })
    if (!details.failed) return undefined
    const again = `npm run fuzz -- ${name} --seed ${details.seed} --path ${details.counterexamplePath}`
    const reason = details.errorInstance instanceof Error ? details.errorInstance.stack : String(details.errorInstance)
    return `${fc.stringify(details.counterexample)}\n${reason}\nonce more: ${again}`
  }
  return { name, slow, run }
}

export function demand(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}
