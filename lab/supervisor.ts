// The lab's systemd: a detached process that starts every process of a lab, restarts each one second after it ends, starts a
// successor beside a running one when it is asked to, and stops all of them when it is told to. Started by lab.ts as `node lab/supervisor.ts NAME STATE_DIR`; talks through files only.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, copyFileSync, existsSync, openSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { labMarker, type ProcessRecord, startTimeOf } from './processes.ts'
import {
  type LabPaths,
  labPaths,
  logFile,
  readUnits,
  type SupervisorRecord,
  type Unit,
  type UnitState,
  writeJson,
} from './state.ts'

const restartMs = 1_000
const lookMs = 200
const graceMs = 4_000
const logLimitBytes = 16 * 1024 * 1024

type State =
  | { readonly kind: 'waiting'; readonly notBefore: number }
  | { readonly kind: 'running'; readonly child: ChildProcess; readonly record: ProcessRecord }

type Running = Extract<State, { kind: 'running' }>

interface Entry {
  readonly unit: Unit
  state: State
  /** Former processes that still run, beside the one that followed them. */
  readonly leaving: Set<Running>
  starts: number
  lastExit: string | undefined
}

class Supervisor {
  readonly #paths: LabPaths
  readonly #entries: readonly Entry[]
  readonly #self: ProcessRecord
  #stopping = false

  constructor(paths: LabPaths, units: readonly Unit[]) {
    this.#paths = paths
    this.#self = { pid: process.pid, startTime: startTimeOf(process.pid) ?? '' }
    this.#entries = units.map((unit) => ({
      unit,
      state: { kind: 'waiting', notBefore: 0 },
      leaving: new Set(),
      starts: 0,
      lastExit: undefined,
    }))
  }

  /** Starts what may start now. A unit on hold, or whose file is missing, waits. */
  look(): void {
    if (this.#stopping) return
    const now = performance.now()
    let changed = false
    for (const entry of this.#entries) {
      if (this.#asked(entry.unit) && entry.state.kind === 'running') {
        entry.leaving.add(entry.state)
        entry.state = { kind: 'waiting', notBefore: 0 }
      }
      if (entry.state.kind !== 'waiting' || entry.state.notBefore > now || !this.#mayStart(entry.unit)) continue
      this.#start(entry)
      changed = true
    }
    if (changed) this.record()
  }

  /** Whether a successor is asked for; once for each request. */
  #asked(unit: Unit): boolean {
    const request = join(this.#paths.reloads, unit.name)
    if (!existsSync(request)) return false
    rmSync(request)
    return true
  }

  #mayStart(unit: Unit): boolean {
    if (existsSync(join(this.#paths.holds, unit.name))) return false
    return unit.startWhen === undefined || existsSync(unit.startWhen)
  }

  #start(entry: Entry): void {
    const { unit } = entry
    const [command = '', ...args] = unit.command
    const log = openSync(logFile(this.#paths, unit.name), 'a', 0o600)
    const child = spawn(command, args, {
      // A process group of its own, so that what a command has started ends with it.
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: { ...process.env, ...unit.environment, [labMarker]: `${this.#paths.name}/${unit.name}` },
    })
    closeSync(log)
    entry.starts++
    child.once('error', (error) => this.#ended(entry, child, `could not start: ${error.message}`))
    child.once('exit', (code, signal) => {
      this.#ended(entry, child, signal === null ? `exit code ${code}` : `signal ${signal}`)
    })
    if (child.pid === undefined) return // the error event follows
    entry.state = { kind: 'running', child, record: { pid: child.pid, startTime: startTimeOf(child.pid) ?? '' } }
  }

  #ended(entry: Entry, child: ChildProcess, how: string): void {
    const left = [...entry.leaving].find((former) => former.child === child)
    if (left !== undefined) {
      signalGroup(left.record.pid, 'SIGKILL')
      entry.leaving.delete(left)
      this.record()
      return
    }
    if (entry.state.kind === 'running') signalGroup(entry.state.record.pid, 'SIGKILL')
    entry.lastExit = how
    entry.state = { kind: 'waiting', notBefore: performance.now() + restartMs }
    this.record()
  }

  record(): void {
    const units: Record<string, UnitState> = {}
    for (const { unit, state, leaving, starts, lastExit } of this.#entries) {
      units[unit.name] = {
        ...(state.kind === 'running' ? { process: state.record } : {}),
        ...(leaving.size === 0 ? {} : { leaving: [...leaving].map(({ record }) => record) }),
        restarts: Math.max(0, starts - 1),
        ...(lastExit === undefined ? {} : { lastExit }),
      }
    }
    const record: SupervisorRecord = { supervisor: this.#self, units }
    writeJson(this.#paths.processes, record)
  }

  /** Keeps every log under its limit: the older half moves to `.1`. Processes append, so truncating is safe. */
  trimLogs(): void {
    for (const { unit } of this.#entries) {
      const file = logFile(this.#paths, unit.name)
      if (!existsSync(file) || statSync(file).size < logLimitBytes) continue
      copyFileSync(file, `${file}.1`)
      truncateSync(file, 0)
    }
  }

  /** Ends every process: SIGTERM to each group, SIGKILL after the grace time. */
  async stop(): Promise<void> {
    this.#stopping = true
    const running = this.#entries.flatMap(({ state, leaving }) => [
      ...(state.kind === 'running' ? [state] : []),
      ...leaving,
    ])
    for (const { record } of running) signalGroup(record.pid, 'SIGTERM')
    const gone = Promise.all(running.map(({ child }) => exited(child)))
    const timer = setTimeout(() => {
      for (const { record } of running) signalGroup(record.pid, 'SIGKILL')
    }, graceMs)
    await gone
    clearTimeout(timer)
  }
}

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
  })
}

function signalGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // The whole group has ended.
  }
}

function main(): void {
  const [name = '', stateDir = ''] = process.argv.slice(2)
  const paths = labPaths({ name, stateDir })
  const supervisor = new Supervisor(paths, readUnits(paths))
  supervisor.record()
  supervisor.look()
  setInterval(() => supervisor.look(), lookMs)
  setInterval(() => supervisor.trimLogs(), 5_000)
  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    supervisor.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', () => {}) // the terminal that started the lab may close
}

main()
