// Runs the cases of test/hbone-peer against one peer, one after the other. Called by main.ts and by the oracle tests.
import { headerCases } from './cases-headers.ts'
import { sessionCases } from './cases-session.ts'
import { streamCases } from './cases-streams.ts'
import { tunnelCases } from './cases-tunnel.ts'
import type { Target } from './target.ts'
import type { Need, PeerCase } from './verdict.ts'

export const peerCases: readonly PeerCase[] = [...tunnelCases, ...sessionCases, ...streamCases, ...headerCases]

/** `allowed`: a departure that implementations are free to take. `not run`: something was not given that the case needs. */
export type Outcome = 'passed' | 'allowed' | 'failed' | 'not run'

export interface CaseResult {
  readonly name: string
  readonly source: string
  readonly outcome: Outcome
  /** Why, for every outcome but `passed`. */
  readonly detail?: string
  readonly ms: number
}

const options: Readonly<Record<Need, string>> = {
  echo: '--authority',
  refused: '--refused-authority',
  denied: '--denied-authority',
  credentials: '--cert and --key',
  mint: '--ca-key',
}

export async function runCases(
  target: Target,
  cases: readonly PeerCase[],
  onResult: (result: CaseResult) => void = () => {},
): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = []
  for (const one of cases) {
    const result = await runCase(target, one)
    results.push(result)
    onResult(result)
  }
  return results
}

async function runCase(target: Target, one: PeerCase): Promise<CaseResult> {
  const { name, source } = one
  const began = performance.now()
  const result = (outcome: Outcome, detail?: string): CaseResult => {
    const ms = Math.round(performance.now() - began)
    return { name, source, outcome, ...(detail === undefined ? {} : { detail }), ms }
  }
  const missing = (one.needs ?? []).filter((need) => target.options[need] === undefined).map((need) => options[need])
  if (missing.length > 0) return result('not run', `needs ${missing.join(', ')}`)
  try {
    const departure = await one.run(target)
    return result(departure === undefined ? 'passed' : 'allowed', departure)
  } catch (error: unknown) {
    return result('failed', error instanceof Error ? error.message : String(error))
  } finally {
    target.close()
  }
}
