// Runs scenarios over targets in interleaved rounds and collects samples; a run that fails is told and left out. Called by main.ts.
import { abortable } from '../core/base/deadline.ts'
import { MeshError } from '../core/base/errors.ts'
import type { RoundSample } from './results.ts'
import type { RunSettings, Scenario } from './scenarios/scenario.ts'

/** What the runner needs of a target; `Target` is one. */
interface Named {
  readonly name: string
}

export interface Failure {
  readonly scenario: string
  readonly subject: string
  readonly round: number
  readonly reason: string
}

export interface Outcome {
  readonly samples: readonly RoundSample[]
  readonly failures: readonly Failure[]
}

export interface Runnable<T extends Named> extends Omit<Scenario, 'run'> {
  run(target: T, settings: RunSettings): ReturnType<Scenario['run']>
}

export interface RunPlan<T extends Named> {
  readonly scenarios: readonly Runnable<T>[]
  readonly targets: readonly T[]
  readonly rounds: number
  readonly settings: RunSettings
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

export async function runScenarios<T extends Named>(plan: RunPlan<T>): Promise<Outcome> {
  const samples: RoundSample[] = []
  const failures: Failure[] = []
  const one = async (scenario: Runnable<T>, target: T, round: number): Promise<void> => {
    plan.signal.throwIfAborted()
    const about = { scenario: scenario.name, subject: target.name, round }
    try {
      const run = async (): Promise<void> => {
        for await (const sample of scenario.run(target, plan.settings)) samples.push({ ...about, ...sample })
      }
      await abortable(run(), plan.signal, interrupted)
    } catch (error: unknown) {
      plan.signal.throwIfAborted()
      const reason = error instanceof Error ? error.message : String(error)
      failures.push({ ...about, reason })
      plan.progress(`${scenario.name} ${target.name}: failed: ${reason}`)
    }
  }
  for (const scenario of plan.scenarios) {
    const targets = plan.targets.filter(({ name }) => scenario.uncaptured || !name.endsWith('-uncaptured'))
    const began = performance.now()
    if (scenario.leadIn > 0) for (const target of targets) await leadIn(scenario, target, plan)
    if (scenario.how === 'together') await Promise.all(targets.map((target) => one(scenario, target, 0)))
    else {
      const rounds = scenario.how === 'once' ? 1 : plan.rounds
      for (let round = 0; round < rounds; round += 1) {
        for (const target of inTurn(targets, round)) await one(scenario, target, round)
      }
    }
    plan.progress(`${scenario.name}: ${((performance.now() - began) / 1_000).toFixed(1)} s`)
  }
  return { samples, failures }
}

/** Nobody counts it; where a failure lasts, the rounds tell. */
async function leadIn<T extends Named>(scenario: Runnable<T>, target: T, plan: RunPlan<T>): Promise<void> {
  plan.signal.throwIfAborted()
  const { settings } = plan
  const run = async (): Promise<void> => {
    for await (const _ of scenario.run(target, { ...settings, seconds: scenario.leadIn * settings.seconds }));
  }
  try {
    await abortable(run(), plan.signal, interrupted)
  } catch (error: unknown) {
    plan.signal.throwIfAborted()
    plan.progress(`${scenario.name} ${target.name}: lead-in: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function interrupted(): MeshError {
  return new MeshError('ABORTED', 'interrupted')
}

/** Each round begins with another one, so that nobody always follows the same neighbour's mess. */
export function inTurn<T>(all: readonly T[], round: number): readonly T[] {
  const first = all.length === 0 ? 0 : round % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}
