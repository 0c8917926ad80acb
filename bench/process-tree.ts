// What the processes of a subject have used: CPU time and memory, from /proc. Read before and after a run by the scenarios.
import { readFileSync } from 'node:fs'

/** The kernel reports CPU time in these, whatever its own tick is (USER_HZ). */
const ticksPerSecond = 100

/** User and system time of a line of /proc/PID/stat in microseconds, threads included. */
export function cpuOfStat(stat: string): number {
  // The second field is the name in parentheses and may itself contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / ticksPerSecond
}

/** Resident memory of a text of /proc/PID/status in bytes. */
export function residentOfStatus(status: string): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  if (kib === undefined) throw new Error('a process without memory: it has ended')
  return Number(kib) * 1024
}

/** The process and all that it has started. */
export function processTree(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').map(Number)
  return [pid, ...children.filter((child) => child > 0).flatMap(processTree)]
}

/** From a text of /proc/PID/limits: how many descriptors the process may be given at most. */
export function descriptorLimit(limits: string): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1]
  return hard === undefined || hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard)
}

export function mostDescriptors(pids: readonly number[]): number {
  return Math.min(...pids.map((pid) => descriptorLimit(readFileSync(`/proc/${pid}/limits`, 'utf8'))))
}

export function cpuMicroseconds(pids: readonly number[]): number {
  return sum(pids.map((pid) => cpuOfStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))))
}

export function residentBytes(pids: readonly number[]): number {
  return sum(pids.map((pid) => residentOfStatus(readFileSync(`/proc/${pid}/status`, 'utf8'))))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
