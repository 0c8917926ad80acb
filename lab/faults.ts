// Kills, holds and releases processes of a lab, for tests and the demo: what an operator would do with systemctl and kill.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '../core/base/errors.ts'
import { waitUntil } from './lab.ts'
import { endProcesses, isRunning, type ProcessRecord } from './processes.ts'
import { type LabSelector, labPaths, readSupervisor, readUnits } from './state.ts'

/** Kills a process with SIGKILL. The supervisor starts it again after a second, unless it is held. */
export function killUnit(selector: LabSelector, unit: string): ProcessRecord {
  const record = unitProcess(selector, unit)
  if (record === undefined) throw new MeshError('LAB_FAILED', `${unit} is not running`)
  process.kill(record.pid, 'SIGKILL')
  return record
}

/** Kills a process and keeps it from coming back until `releaseUnit`. */
export async function holdUnit(selector: LabSelector, unit: string): Promise<void> {
  requireUnit(selector, unit)
  writeFileSync(join(labPaths(selector).holds, unit), '')
  const record = unitProcess(selector, unit)
  if (record !== undefined && isRunning(record)) process.kill(record.pid, 'SIGKILL')
  await waitUntil(`${unit} ends`, () => unitProcess(selector, unit) === undefined, 5_000)
}

/** Stops a process in an orderly way (SIGTERM, SIGKILL after `graceMs`) and keeps it from coming back. */
export async function stopUnit(selector: LabSelector, unit: string, graceMs = 30_000): Promise<void> {
  requireUnit(selector, unit)
  writeFileSync(join(labPaths(selector).holds, unit), '')
  const record = unitProcess(selector, unit)
  if (record !== undefined) await endProcesses([record], graceMs)
}

/**
 * Starts another daemon beside the one that runs, as an orchestrator with surge does; they hand over by themselves.
 * Resolves with both once the new one has been started.
 */
export async function succeedUnit(
  selector: LabSelector,
  unit: string,
): Promise<{ readonly before: ProcessRecord; readonly after: ProcessRecord }> {
  requireUnit(selector, unit)
  if (!unit.startsWith('daemon@')) throw new MeshError('LAB_FAILED', `${unit} cannot run twice: only daemons hand over`)
  const before = unitProcess(selector, unit)
  if (before === undefined) throw new MeshError('LAB_FAILED', `${unit} is not running`)
  writeFileSync(join(labPaths(selector).reloads, unit), '')
  return { before, after: await waitRestarted(selector, unit, before) }
}

/** Processes of a unit that another one has followed and that still run. */
export function leavingProcesses(selector: LabSelector, unit: string): readonly ProcessRecord[] {
  return (readSupervisor(labPaths(selector))?.units[unit]?.leaving ?? []).filter(isRunning)
}

/** Lets the supervisor start a held process again. */
export function releaseUnit(selector: LabSelector, unit: string): void {
  requireUnit(selector, unit)
  rmSync(join(labPaths(selector).holds, unit), { force: true })
}

/** Waits until the unit runs again after `before`. */
export async function waitRestarted(
  selector: LabSelector,
  unit: string,
  before: ProcessRecord | undefined,
  timeoutMs = 10_000,
): Promise<ProcessRecord> {
  let current: ProcessRecord | undefined
  await waitUntil(
    `${unit} runs again`,
    () => {
      current = unitProcess(selector, unit)
      return current !== undefined && (before === undefined || current.pid !== before.pid)
    },
    timeoutMs,
  )
  return current!
}

/** The process that runs for a unit now. */
export function unitProcess(selector: LabSelector, unit: string): ProcessRecord | undefined {
  const record = readSupervisor(labPaths(selector))?.units[unit]?.process
  return record !== undefined && isRunning(record) ? record : undefined
}

function requireUnit(selector: LabSelector, unit: string): void {
  const names = readUnits(labPaths(selector)).map((candidate) => candidate.name)
  if (names.includes(unit)) return
  throw new MeshError('RESOURCE_NOT_FOUND', `the lab has no process "${unit}"; it has ${names.join(', ') || 'none'}`)
}
