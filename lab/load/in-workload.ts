// Runs load plans inside workloads of a lab. Used by the demo and the netns tests.
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { MeshError } from '../../core/base/errors.ts'
import { execInWorkload, spawnInWorkload } from '../exec.ts'
import type { LabSelector } from '../state.ts'
import type { LoadPlan, LoadReport } from './load.ts'

const script = fileURLToPath(new URL('./main.ts', import.meta.url))
const node: readonly string[] = [process.execPath, '--disable-warning=ExperimentalWarning']

function commandOf(plan: LoadPlan): readonly string[] {
  return [...node, script, JSON.stringify(plan)]
}

/** Runs a plan in a workload to its end. */
export async function loadFrom(selector: LabSelector, workload: string, plan: LoadPlan): Promise<LoadReport> {
  const timeoutMs = (plan.durationMs ?? 0) + 120_000
  const { code, stdout, stderr } = await execInWorkload(selector, workload, commandOf(plan), { timeoutMs })
  if (code !== 0) throw new MeshError('LAB_FAILED', `the load in ${workload} failed (${code}): ${stderr.trim()}`)
  return lastLine(stdout)
}

export interface RunningLoad {
  /** Ends the load (after the requests that are under way) and gives its report. */
  stop(): Promise<LoadReport>
  /** Waits for the plan's own end. */
  report(): Promise<LoadReport>
}

/** Starts a plan in a workload. */
export function startLoad(selector: LabSelector, workload: string, plan: LoadPlan): RunningLoad {
  const child = spawnInWorkload(selector, workload, commandOf(plan), ['ignore', 'pipe', 'inherit'])
  const output = text(child.stdout!)
  const report = async (): Promise<LoadReport> => lastLine(await output)
  return {
    report,
    stop: () => {
      child.kill('SIGTERM')
      return report()
    },
  }
}

function lastLine(output: string): LoadReport {
  const line = output.trim().split('\n').at(-1) ?? ''
  const report = JSON.parse(line) as LoadReport | { readonly started: true }
  if ('started' in report) throw new MeshError('LAB_FAILED', 'the load ended without a report')
  return report
}
