// Kills writers and members of etcd with SIGKILL in the middle of writes, and compares what was acknowledged with what is there.
// Run at length by test/soak/store-kills.ts, shortly by test/direct/store-kills.test.ts.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { openEtcdStore } from '../../control/store/etcd.ts'
import { openSqliteStore } from '../../control/store/sqlite.ts'
import { EtcdCluster } from './etcd.ts'
import { Journal, type JournalLine } from './store-journal.ts'

export interface KillFigures {
  readonly store: string
  readonly kills: number
  readonly acknowledged: number
  /** Writes that were under way when somebody was killed, and how many of them had happened. */
  readonly open: number
  readonly happened: number
  /** Writes that the writer was told had failed, or might have. */
  readonly failed: number
  readonly seconds: number
  readonly problems: readonly string[]
}

/** A writer that has begun to write. */
class Writer {
  readonly #child: ChildProcess
  readonly #read: Promise<void>
  readonly #begun = Promise.withResolvers<void>()

  constructor(args: readonly string[], journal: Journal) {
    const program = join(import.meta.dirname, 'store-writer.ts')
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: this.#child.stdout! })
    let count = 0
    lines.on('line', (line) => {
      // the last line of a killed process may be cut
      if (line.endsWith('}')) journal.add(JSON.parse(line) as JournalLine)
      count += 1
      if (count === 40) this.#begun.resolve()
    })
    this.#read = new Promise((resolve) => lines.on('close', () => resolve()))
    this.#child.on('exit', (code) => {
      if (code !== null) journal.problems.push(`a writer ended by itself with ${code}`)
      this.#begun.resolve()
    })
  }

  get begun(): Promise<void> {
    return this.#begun.promise
  }

  async kill(): Promise<void> {
    const isGone = this.#child.exitCode !== null || this.#child.signalCode !== null
    const exit = isGone ? Promise.resolve() : once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
    await this.#read
  }
}

function figures(store: string, kills: number, journal: Journal, started: number): KillFigures {
  const { acknowledged, open, happened, failed, problems } = journal
  const seconds = Math.round((performance.now() - started) / 100) / 10
  return { store, kills, acknowledged, open, happened, failed, seconds, problems }
}

/** Each kill is one of the process that writes, at a moment of chance. */
export async function killSqliteWriters(kills: number): Promise<KillFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'culvert-kills-'))
  const file = join(folder, 'store.db')
  const journal = new Journal()
  const started = performance.now()
  try {
    for (let round = 0; round < kills; round += 1) {
      if (journal.problems.length > 0) return figures('sqlite', round, journal, started)
      const writer = new Writer(['sqlite', file, '-', String(round)], journal)
      await writer.begun
      await sleep(Math.random() * 150)
      await writer.kill()
      const store = await openSqliteStore(file)
      await journal.check(store).finally(() => store.close())
    }
    return figures('sqlite', kills, journal, started)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** In turn the process that writes, one member of three, and every tenth time all members at once. */
export async function killEtcd(kills: number): Promise<KillFigures> {
  const cluster = await EtcdCluster.start({ members: 3 })
  const journal = new Journal()
  const started = performance.now()
  const prefix = '/kills/'
  const where = cluster.endpoints.map(({ href }) => href).join(',')
  const store = await openEtcdStore({ endpoints: cluster.endpoints, prefix, deadlineMs: 30_000 })
  let writer: Writer | undefined
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      if (journal.problems.length > 0) return figures('etcd', kill, journal, started)
      writer ??= new Writer(['etcd', where, prefix, String(kill)], journal)
      await writer.begun
      await sleep(Math.random() * 150)
      if (kill % 2 === 0) await killMembers(cluster, kill % 10 === 4)
      else {
        await writer.kill()
        writer = undefined
        await journal.check(store)
      }
    }
    await writer?.kill()
    writer = undefined
    await journal.check(store)
    return figures('etcd', kills, journal, started)
  } finally {
    await writer?.kill()
    await store.close()
    await cluster.close()
  }
}

async function killMembers(cluster: EtcdCluster, all: boolean): Promise<void> {
  const { members } = cluster
  const victims = all ? members : [members[Math.floor(Math.random() * members.length)]!]
  await Promise.all(victims.map((member) => member.kill('SIGKILL')))
  // long enough for the others to choose a leader and be written to
  if (!all) await sleep(Math.random() * 1500)
  for (const member of victims) member.start()
  await Promise.all(victims.map((member) => cluster.ready(member)))
}
