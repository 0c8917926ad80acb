// Waits until a lab is ready, part by part, and says what is not when the time is up. Called by lab.ts.
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { deadline, sleep } from '../core/base/deadline.ts'
import { MeshError } from '../core/base/errors.ts'
import { type LabPaths, logFile, readSupervisor } from './state.ts'

/** One part of a lab that must become ready. `check` gives undefined when it is, else what is missing. */
export interface ReadyPart {
  readonly name: string
  /** The process whose log explains a failure. */
  readonly unit: string
  check(): Promise<string | undefined>
}

const lookMs = 100
const tailBytes = 4_000

/** Waits for all parts. Throws LAB_FAILED naming those that are not ready, why, and the end of their logs. */
export async function waitReady(
  paths: LabPaths,
  parts: readonly ReadyPart[],
  timeoutMs: number,
  options: { readonly signal?: AbortSignal; readonly progress?: (text: string) => void } = {},
): Promise<void> {
  const until = deadline(timeoutMs, options.signal)
  const missing = new Map(parts.map((part) => [part, 'not asked yet']))
  while (missing.size > 0) {
    for (const part of [...missing.keys()]) {
      const problem = await checked(part)
      if (problem !== undefined) missing.set(part, problem)
      else {
        missing.delete(part)
        options.progress?.(`${part.name} is ready`)
      }
    }
    if (missing.size === 0) return
    if (until.aborted) throw new MeshError('LAB_FAILED', explainMissing(paths, missing))
    await sleep(lookMs)
  }
}

async function checked(part: ReadyPart): Promise<string | undefined> {
  try {
    return await part.check()
  } catch (error: unknown) {
    return error instanceof Error ? error.message : String(error)
  }
}

function explainMissing(paths: LabPaths, missing: ReadonlyMap<ReadyPart, string>): string {
  const lines = [...missing].map(([part, problem]) => `${part.name} is not ready: ${problem}`)
  const units = new Set([...missing.keys()].map((part) => part.unit))
  const record = readSupervisor(paths)
  for (const unit of units) {
    const state = record?.units[unit]
    const how = state?.lastExit === undefined ? '' : `, ended ${state.restarts + 1} times, last with ${state.lastExit}`
    lines.push(`--- end of ${logFile(paths, unit)}${how}:`, logTail(paths, unit))
  }
  return lines.join('\n')
}

/** The last lines of a process's log. */
export function logTail(paths: LabPaths, unit: string, bytes = tailBytes): string {
  const file = logFile(paths, unit)
  try {
    const { size } = statSync(file)
    const buffer = Buffer.alloc(Math.min(size, bytes))
    const fd = openSync(file, 'r')
    try {
      readSync(fd, buffer, 0, buffer.length, size - buffer.length)
    } finally {
      closeSync(fd)
    }
    const text = buffer.toString('utf8')
    return size > bytes ? text.slice(text.indexOf('\n') + 1) : text.trimEnd() || '(empty)'
  } catch {
    return '(no log)'
  }
}
