// How many connections the open files of this process are enough for, so that a limit of ours refuses before the kernel fails: a
// process without descriptors cannot even accept what it would refuse. Called by app.ts.
import { readFileSync } from 'node:fs'

/** For listeners (six and more per workload), admin, the agent, files, and whatever a library opens. */
const reservedShare = 1 / 8
const reservedLeast = 256
/** The caller's socket and the destination's; tunnels are shared, and those of idle peers have a bound of their own. */
const perConnection = 2.5

/** Soft limit of open files; Node raises it to the hard one when it starts. */
export function openFileLimit(limits: string = readFileSync('/proc/self/limits', 'utf8')): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1]
  return soft === undefined || soft === 'unlimited' ? 1_048_576 : Number(soft)
}

/** Connections that each of `workers` may hold. */
export function connectionsFor(openFiles: number, workers: number): number {
  const free = openFiles - Math.max(reservedLeast, openFiles * reservedShare)
  return Math.max(16, Math.floor(free / perConnection / workers))
}
