// How many descriptors connections may take, so that a limit of ours refuses before the kernel fails: a process without
// descriptors cannot even accept what it would refuse. Called by app.ts.
import { readFileSync } from 'node:fs'

/** For listeners (six and more per workload), admin, the agent, files, and whatever a library opens. */
const reservedShare = 1 / 8
const reservedLeast = 256

/** Soft limit of open files; Node raises it to the hard one when it starts. */
export function openFileLimit(limits: string = readFileSync('/proc/self/limits', 'utf8')): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1]
  return soft === undefined || soft === 'unlimited' ? 1_048_576 : Number(soft)
}

/** Descriptors that the connections of each of `workers` may take. */
export function descriptorsFor(openFiles: number, workers: number): number {
  const free = openFiles - Math.max(reservedLeast, openFiles * reservedShare)
  return Math.max(32, Math.floor(free / workers))
}
