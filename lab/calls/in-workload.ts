// Makes batches of calls from inside a workload of a lab. Used by the conformance harness and the netns tests.
import { fileURLToPath } from 'node:url'
import { MeshError } from '../../core/base/errors.ts'
import { execInWorkload } from '../exec.ts'
import type { LabSelector } from '../state.ts'
import type { Call, CallResult } from './call.ts'

const script = fileURLToPath(new URL('./main.ts', import.meta.url))

export interface BatchOptions {
  /** Calls at once; 1 if absent. */
  readonly concurrency?: number
  /** For the whole batch; five minutes if absent. */
  readonly timeoutMs?: number
}

/** One process for all of them. Results are in the order of the calls. Throws LAB_FAILED where the batch itself cannot be run. */
export async function callsFrom(
  selector: LabSelector,
  workload: string,
  calls: readonly Call[],
  { concurrency = 1, timeoutMs = 300_000 }: BatchOptions = {},
): Promise<readonly CallResult[]> {
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', script]
  const input = JSON.stringify({ calls, concurrency })
  const { code, stdout, stderr } = await execInWorkload(selector, workload, command, { input, timeoutMs })
  if (code !== 0) throw new MeshError('LAB_FAILED', `the calls from ${workload} failed (${code}): ${stderr.trim()}`)
  return JSON.parse(stdout) as readonly CallResult[]
}
