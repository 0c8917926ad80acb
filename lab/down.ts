// Removes every trace of a lab, also after a crash: processes, namespaces, pins, files. Safe to repeat.

import { readFileSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import { tryCommand } from './command.ts'
import { deleteNamespaces, listNamespaces, removeNetnsFolder } from './network.ts'
import { endProcesses, findMarked, isRunning, type ProcessRecord, processesInside } from './processes.ts'
import { type LabPaths, type LabSelector, labPaths, readSupervisor } from './state.ts'

export interface DownReport {
  readonly name: string
  readonly processes: number
  readonly namespaces: number
  readonly mounts: number
  /** False where there was nothing of this lab. */
  readonly found: boolean
}

/** The supervisor ends its children within four seconds, then itself. */
const supervisorMs = 8_000

export async function downLab(selector: LabSelector = {}): Promise<DownReport> {
  const paths = labPaths(selector)
  const recorded = readSupervisor(paths)
  let processes = 0
  if (recorded !== undefined) {
    // First the supervisor: while it lives, it would start again what is ended here.
    const units = Object.values(recorded.units).flatMap((unit) => (unit.process === undefined ? [] : [unit.process]))
    processes += units.filter(isRunning).length
    await endProcesses([recorded.supervisor], supervisorMs)
    await endProcesses(units, 2_000)
  }
  processes += await endRest(paths)
  const mounts = await unmountBelow([paths.runFolder, paths.folder])
  const namespaces = await listNamespaces(paths.name)
  await deleteNamespaces(namespaces)
  await removeNetnsFolder()
  const existed = recorded !== undefined || namespaces.length > 0
  await rm(paths.runFolder, { recursive: true, force: true })
  await rm(paths.folder, { recursive: true, force: true })
  // Folders that labs have made and that the last one leaves empty.
  for (const folder of ['/run/culvert-lab', '/var/lib/culvert/lab', '/var/lib/culvert'])
    await rmdir(folder).catch(() => {})
  return {
    name: paths.name,
    processes,
    namespaces: namespaces.length,
    mounts,
    found: existed || processes + mounts > 0,
  }
}

/** Ends what no record names: processes with the lab's marker, then whatever runs inside its namespaces. */
async function endRest(paths: LabPaths): Promise<number> {
  let count = 0
  // Twice: a process may start another one while it is being ended.
  for (let round = 0; round < 2; round++) {
    const inside = await Promise.all((await listNamespaces(paths.name)).map(processesInside))
    const found = new Map<number, ProcessRecord>()
    for (const record of [...findMarked(paths.name), ...inside.flat()]) found.set(record.pid, record)
    if (found.size === 0) break
    count += found.size
    await endProcesses([...found.values()], 2_000)
  }
  return count
}

/** Takes away every mount at or below the folders, deepest first. */
export async function unmountBelow(folders: readonly string[]): Promise<number> {
  const points = mountPoints(readFileSync('/proc/self/mountinfo', 'utf8'))
    .filter((point) => folders.some((folder) => point === folder || point.startsWith(`${folder}/`)))
    .toReversed()
  for (const point of points) await tryCommand('umount', ['--lazy', point])
  return points.length
}

/** Mount points of /proc/self/mountinfo, whose fifth field writes space, tab and backslash in octal. */
export function mountPoints(mountinfo: string): string[] {
  return mountinfo.split('\n').flatMap((line) => {
    const field = line.split(' ')[4]
    if (field === undefined) return []
    return [field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))]
  })
}
