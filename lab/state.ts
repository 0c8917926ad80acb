// The files of a lab: where they are and how they are read. Written by lab.ts (lab.json, units.json) and by the supervisor
// (processes.json); read by every `lab` command.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MeshError } from '../core/base/errors.ts'
import { type LabPlan, labNamePattern } from './addressing.ts'
import type { ProcessRecord } from './processes.ts'

/** Which lab a command means. The folder defaults to CULVERT_LAB_DIR, then /var/lib/culvert/lab. */
export interface LabSelector {
  readonly name?: string
  /** Folder that holds one folder per lab. */
  readonly stateDir?: string
}

export interface LabPaths {
  readonly name: string
  /** The lab's own folder; `lab down` removes it. */
  readonly folder: string
  /** Sockets and namespace pins: a short path, since unix socket paths end at 107 bytes. */
  readonly runFolder: string
  readonly lab: string
  readonly units: string
  readonly processes: string
  readonly logs: string
  readonly holds: string
  /** Requests for a successor, by unit. */
  readonly reloads: string
  readonly controlState: string
}

export interface LabRecord {
  readonly plan: LabPlan
  readonly createdAt: string
  readonly processes: 'all' | 'workloads' | 'none'
}

/** One process that the supervisor keeps running, as systemd would with Restart=always. */
export interface Unit {
  readonly name: string
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Started once this file exists. */
  readonly startWhen?: string
}

export interface UnitState {
  readonly process?: ProcessRecord
  /** Processes of this unit that another one has followed, and that still finish their work. */
  readonly leaving?: readonly ProcessRecord[]
  readonly restarts: number
  /** How it ended last. */
  readonly lastExit?: string
}

export interface SupervisorRecord {
  readonly supervisor: ProcessRecord
  readonly units: Readonly<Record<string, UnitState>>
}

/** Throws CONFIG_INVALID where the lab's name cannot be one. */
export function labPaths(selector: LabSelector): LabPaths {
  const name = selector.name ?? 'lab'
  if (!labNamePattern.test(name)) {
    throw new MeshError('CONFIG_INVALID', `"${name}" cannot name a lab: use 1 to 24 lower-case letters and digits`)
  }
  const parent = selector.stateDir ?? process.env['CULVERT_LAB_DIR'] ?? '/var/lib/culvert/lab'
  const folder = join(parent, name)
  return {
    name,
    folder,
    runFolder: join('/run/culvert-lab', name),
    lab: join(folder, 'lab.json'),
    units: join(folder, 'units.json'),
    processes: join(folder, 'processes.json'),
    logs: join(folder, 'logs'),
    holds: join(folder, 'holds'),
    reloads: join(folder, 'reloads'),
    controlState: join(folder, 'control'),
  }
}

export function logFile(paths: LabPaths, unit: string): string {
  return join(paths.logs, `${unit}.log`)
}

/** Writes JSON so that a reader sees the old or the new file, never a half. */
export function writeJson(file: string, value: unknown): void {
  const draft = `${file}.new`
  writeFileSync(draft, `${JSON.stringify(value, null, 1)}\n`, { mode: 0o600 })
  renameSync(draft, file)
}

export function makeFolders(...folders: readonly string[]): void {
  for (const folder of folders) mkdirSync(folder, { recursive: true, mode: 0o700 })
}

/** The lab's record. Throws RESOURCE_NOT_FOUND where no such lab is up. */
export function readLab(paths: LabPaths): LabRecord {
  const record = readJson(paths.lab) as LabRecord | undefined
  if (record === undefined) {
    const others = otherLabs({ name: paths.name, stateDir: dirname(paths.folder) })
    const hint = others === '' ? ': start it with `culvert lab up -f FILE`' : others
    throw new MeshError('RESOURCE_NOT_FOUND', `lab "${paths.name}" is not up${hint}`)
  }
  return record
}

/** The labs that are up, of a folder of labs. */
export function labNames(stateDir?: string): readonly string[] {
  const parent = dirname(labPaths(stateDir === undefined ? {} : { stateDir }).folder)
  try {
    return readdirSync(parent).filter((name) => existsSync(join(parent, name, 'lab.json')))
  } catch {
    return []
  }
}

/** `; there is "demo", "x": choose with --name`, or nothing where no other lab is up. */
export function otherLabs(selector: LabSelector): string {
  const { name } = labPaths(selector)
  const found = labNames(selector.stateDir).filter((other) => other !== name)
  if (found.length === 0) return ''
  return `; there is ${found.map((other) => `"${other}"`).join(', ')}: choose with --name`
}

export function readUnits(paths: LabPaths): readonly Unit[] {
  return (readJson(paths.units) as readonly Unit[] | undefined) ?? []
}

export function readSupervisor(paths: LabPaths): SupervisorRecord | undefined {
  return readJson(paths.processes) as SupervisorRecord | undefined
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined // absent, or cut short by a crash of the machine: nothing to go by
  }
}
