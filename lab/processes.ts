// Which running process is which: by pid and start time, so that a number the kernel has given to somebody else is never
// signalled. Used by the supervisor (recording) and by `lab down` (ending what a crash left).
import { readdirSync, readFileSync } from 'node:fs'
import { sleep } from '../core/base/deadline.ts'
import { tryCommand } from './command.ts'

/** A process for good: `startTime` is field 22 of /proc/pid/stat (ticks since boot). */
export interface ProcessRecord {
  readonly pid: number
  readonly startTime: string
}

/** Set in the environment of every process of a lab: `<lab>/<unit>`. Finds what a crash left before it was recorded. */
export const labMarker = 'CULVERT_LAB_PROCESS'

/** Start time of a running process; undefined where it is gone or a zombie. */
export function startTimeOf(pid: number): string | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The second field is the name in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}

export function isRunning(record: ProcessRecord): boolean {
  return startTimeOf(record.pid) === record.startTime
}

/** Pids whose environment carries the lab's marker. */
export function findMarked(lab: string): readonly ProcessRecord[] {
  const found: ProcessRecord[] = []
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const record = markedRecord(pid, lab)
    if (record !== undefined) found.push(record)
  }
  return found
}

function markedRecord(pid: number, lab: string): ProcessRecord | undefined {
  try {
    const environment = `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`
    if (!environment.includes(`\0${labMarker}=${lab}/`)) return undefined
  } catch {
    return undefined
  }
  const startTime = startTimeOf(pid)
  return startTime === undefined ? undefined : { pid, startTime }
}

/** Processes inside a network namespace, this one excepted. */
export async function processesInside(netns: string): Promise<readonly ProcessRecord[]> {
  const { code, stdout } = await tryCommand('ip', ['netns', 'pids', netns])
  if (code !== 0) return []
  return stdout
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid)
    .flatMap((pid) => {
      const startTime = startTimeOf(pid)
      return startTime === undefined ? [] : [{ pid, startTime }]
    })
}

/** Ends processes: SIGTERM, and SIGKILL to what is left after `graceMs`. Gives the number that had to be killed. */
export async function endProcesses(records: readonly ProcessRecord[], graceMs: number): Promise<number> {
  signalAll(records, 'SIGTERM')
  await waitGone(records, graceMs)
  const left = records.filter(isRunning)
  signalAll(left, 'SIGKILL')
  await waitGone(left, 5_000)
  return left.length
}

function signalAll(records: readonly ProcessRecord[], signal: 'SIGTERM' | 'SIGKILL'): void {
  for (const record of records) {
    if (!isRunning(record)) continue
    try {
      process.kill(record.pid, signal)
    } catch {
      // It ended between the look and the signal.
    }
  }
}

async function waitGone(records: readonly ProcessRecord[], timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs
  while (performance.now() < end && records.some(isRunning)) await sleep(25)
}
