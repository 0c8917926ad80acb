// What every soak of traffic does around its figures: a lab, JSON on standard output, exit code 1 where something is not as it must be.
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { TrafficLab, type TrafficLabOptions } from './traffic-lab.ts'

export interface Outcome {
  readonly figures: object
  /** What is not as it must be; empty where all is well. */
  readonly problems: readonly string[]
}

/** Runs a soak, prints what it found, and sets the exit code. */
export async function soak(name: string, run: () => Promise<Outcome>): Promise<void> {
  const { figures, problems } = await run()
  const machine = { node: process.version, cores: cpus().length, cpu: cpus()[0]?.model ?? 'unknown' }
  process.stdout.write(`${JSON.stringify({ soak: name, machine, ...figures, problems }, null, 2)}\n`)
  if (problems.length > 0) process.exitCode = 1
}

/** Builds a lab, runs `work` in it, and removes it. `nodeOptions` are those of all of its processes. */
export async function inLab<T>(
  name: string,
  work: (lab: TrafficLab) => Promise<T>,
  { nodeOptions = '', ...options }: TrafficLabOptions & { readonly nodeOptions?: string } = {},
): Promise<T> {
  const stateDir = mkdtempSync(join(tmpdir(), 'culvert-soak-'))
  const former = process.env['NODE_OPTIONS'] ?? ''
  process.env['NODE_OPTIONS'] = `${former} ${nodeOptions}`.trim()
  try {
    const lab = await TrafficLab.up(name, stateDir, options)
    try {
      return await work(lab)
    } finally {
      await lab.close()
    }
  } finally {
    process.env['NODE_OPTIONS'] = former
    rmSync(stateDir, { recursive: true, force: true })
  }
}

/** A positive whole number of the command line. Throws RangeError. */
export function argument(position: number, otherwise: number): number {
  const text = process.argv[2 + position]
  const value = Number(text ?? otherwise)
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${text} is no whole number above 0`)
  return value
}

/** `text` where `broken` holds. */
export function problem(broken: boolean, text: string): readonly string[] {
  return broken ? [text] : []
}
