// The guided tour: builds a lab, walks through the steps and tells what each found. Called by `culvert demo`.
import { existsSync } from 'node:fs'
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import { type DownReport, downLab } from '../down.ts'
import { listNamespaces } from '../network.ts'
import { findMarked } from '../processes.ts'
import { type LabSelector, labPaths } from '../state.ts'
import { type Narrator, narrator, type Paint } from './narrator.ts'
import { tourSteps } from './steps.ts'
import { Tour } from './tour.ts'

export interface DemoOptions {
  readonly name: string
  /** Run as checks and take everything down; else the lab stays up. */
  readonly once: boolean
  readonly stateDir?: string
  readonly signal: AbortSignal
  readonly paint: Paint
  readonly write: (text: string) => void
}

/** What a step did and found; part of the stable `-o json` output. */
export interface StepResult {
  readonly name: string
  readonly title: string
  readonly ok: boolean
  /** In plain words. */
  readonly finding: string
  /** The command that shows it again. */
  readonly command: string
  readonly facts: Readonly<Record<string, unknown>>
  readonly durationMs: number
}

export interface DemoResult {
  readonly ok: boolean
  readonly steps: readonly StepResult[]
  /** The step that failed. */
  readonly failed?: string
  readonly durationMs: number
  /** Whether the lab has been taken down without a trace. */
  readonly removed: boolean
}

/** Runs the tour. Never throws for a step that fails: the result names it. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const begin = performance.now()
  const selector: LabSelector = {
    name: options.name,
    ...(options.stateDir === undefined ? {} : { stateDir: options.stateDir }),
  }
  const say = narrator(options.write, options.paint)
  const old = await downLab(selector)
  if (old.found) say.note(`removed the lab "${options.name}" of an earlier tour`)
  say.welcome()
  const steps = await walk(new Tour(selector, options.signal, say), say, options.signal)
  const failed = steps.find((step) => !step.ok)
  // Also after a failure a check run leaves nothing behind, and so does a tour that is broken off; otherwise the lab stays, to
  // look at, where there is one.
  const last = options.once || options.signal.aborted ? await leave(selector, say) : undefined
  const all = last === undefined ? steps : [...steps, last]
  const bad = all.find((step) => !step.ok)
  if (last === undefined && isUp(selector)) say.stay(options.name, failed === undefined)
  const durationMs = Math.round(performance.now() - begin)
  say.end(all.length, durationMs, bad?.title)
  return {
    ok: bad === undefined,
    steps: all,
    ...(bad === undefined ? {} : { failed: bad.name }),
    durationMs,
    removed: last?.ok === true,
  }
}

async function walk(tour: Tour, say: Narrator, signal: AbortSignal): Promise<StepResult[]> {
  const results: StepResult[] = []
  for (const [index, step] of tourSteps.entries()) {
    say.step(index + 1, step.title, step.words)
    const begin = performance.now()
    const base = { name: step.name, title: step.title, command: step.command(tour.selector) }
    try {
      if (signal.aborted) throw new MeshError('ABORTED', 'the tour was interrupted')
      const { finding, facts } = await step.run(tour)
      results.push({ ...base, ok: true, finding, facts, durationMs: Math.round(performance.now() - begin) })
    } catch (error: unknown) {
      const finding = signal.aborted ? 'interrupted' : asMeshError(error, 'LAB_FAILED').message
      results.push({ ...base, ok: false, finding, facts: {}, durationMs: Math.round(performance.now() - begin) })
    }
    const result = results.at(-1)!
    say.finding(result.ok, result.finding, result.command)
    if (!result.ok) break
  }
  await tour.close()
  return results
}

/** Whether there is a lab to look at: one that could not be built has been removed again. */
function isUp(selector: LabSelector): boolean {
  return existsSync(labPaths(selector).lab)
}

/** Takes the lab down and checks that nothing is left of it. */
async function leave(selector: LabSelector, say: Narrator): Promise<StepResult> {
  const title = 'Everything is taken down'
  const begin = performance.now()
  const base = { name: 'remove', title, command: `culvert lab down --name ${selector.name}` }
  say.step(undefined, title, 'Namespaces, rules, routes, processes, mounts and files of the lab are removed.')
  let finding: string
  let ok = false
  let report: DownReport | undefined
  try {
    report = await downLab(selector)
    const name = labPaths(selector).name
    const namespaces = await listNamespaces(name)
    const processes = findMarked(name)
    ok = namespaces.length === 0 && processes.length === 0
    const removed = report.found
      ? `${report.namespaces} namespaces, ${report.processes} processes and ${report.mounts} mounts are gone; nothing is left`
      : 'nothing is left'
    finding = ok ? removed : `${namespaces.length} namespaces and ${processes.length} processes are left`
  } catch (error: unknown) {
    finding = asMeshError(error, 'LAB_FAILED').message
  }
  say.finding(ok, finding, base.command)
  return { ...base, ok, finding, facts: { ...report }, durationMs: Math.round(performance.now() - begin) }
}
