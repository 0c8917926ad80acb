// Attacks that go on and on from a thread of their own, while an honest client in another thread exchanges small messages: each
// attack ends in a refusal that is reported with the peer, memory stays bounded, the honest client loses nothing and keeps its
// latency, measured against its own without the attack in the same run.
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { Repeats } from '../../core/base/repeats.ts'
import type { TunnelLimits } from '../../core/hbone/limits.ts'
import { Bench, clientIdentity, echo } from '../helpers/tunnel.ts'

t.setTimeout(110_000)

const thread = (name: string) => fileURLToPath(new URL(`../helpers/${name}-worker.ts`, import.meta.url))

/** Of the bystander's own figures without attack; a fault makes it wait for the whole of an attack, hundreds of times as long. */
const mostTimesP50 = 40
const mostTimesP99 = 100
const phaseMs = 400
const rounds = 4
const mostHeapBytes = 256 * 1024 * 1024

interface Attack {
  readonly name: string
  /** What the server reports. */
  readonly code: string
  readonly message: RegExp
  /** How the attacker sees its end. */
  readonly end: RegExp
  readonly limits?: Partial<TunnelLimits>
}

/** A server that closes what is still being written to resets it. */
const ended = /^closed$|ECONNRESET|EPIPE/
const calm = { code: 'TUNNEL_H2', message: /enhanceYourCalm/, end: /^GOAWAY 11$|^closed$|ECONNRESET|EPIPE/ }
const late = { code: 'TUNNEL_TIMEOUT', message: /within|PING/, end: ended }
const short = { handshakeTimeoutMs: 300, maxHandshakesPerAddress: 20 }
const alert = { pingIntervalMs: 100, pingTimeoutMs: 250 }

const attacks: readonly Attack[] = [
  { name: 'rapid reset', ...calm, limits: { resetBurst: 1_000, resetsPerSecond: 100 } },
  { name: 'continuation', ...calm },
  { name: 'hpack bomb', ...calm },
  { name: 'ping', ...calm },
  { name: 'settings', ...calm },
  { name: 'empty DATA', ...calm },
  { name: 'window update', ...calm },
  {
    name: 'half-open',
    code: 'LIMIT_REACHED|TUNNEL_TIMEOUT',
    message: /too many|within/,
    end: ended,
    limits: short,
  },
  {
    name: 'slow TLS',
    code: 'LIMIT_REACHED|TUNNEL_TIMEOUT|TUNNEL_HANDSHAKE',
    message: /./,
    end: ended,
    limits: short,
  },
  { name: 'slow preface', ...late, limits: short },
  { name: 'zero window', ...late, limits: alert },
  { name: 'slow reader', ...late, limits: alert },
]

class Bystander {
  readonly #worker: Worker

  constructor(worker: Worker) {
    this.#worker = worker
  }

  /** Its times of the next while. */
  async measure(): Promise<{ readonly p50: number; readonly p99: number; readonly count: number }> {
    await this.#ask()
    await new Promise((resolve) => setTimeout(resolve, phaseMs))
    const times = (await this.#ask()).sort((a, b) => a - b)
    const at = (part: number) =>
      times[Math.min(times.length - 1, Math.floor(part * times.length))] ?? Number.POSITIVE_INFINITY
    return { p50: at(0.5), p99: at(0.99), count: times.length }
  }

  async #ask(): Promise<number[]> {
    this.#worker.postMessage('measure')
    const [times] = await once(this.#worker, 'message')
    return times as number[]
  }

  async stop(): Promise<{ readonly wrong: number; readonly lost?: string }> {
    this.#worker.postMessage('stop')
    const [sum] = await once(this.#worker, 'message')
    return sum as { wrong: number; lost?: string }
  }
}

async function judged(t: Test, { name, code, message, end, limits }: Attack): Promise<void> {
  const bench = await Bench.create({ onConnect: echo, ...(limits === undefined ? {} : { serverLimits: limits }) })
  const leaf = await bench.ca.leaf(clientIdentity)
  const data = { port: bench.port, leaf, attack: name }
  const bystander = new Bystander(new Worker(thread('bystander'), { workerData: data }))
  await bystander.measure()
  const ratios: { p50: number; p99: number }[] = []
  let calls = 0
  let worstHeap = 0
  // The machine has other work too: the best of a few rounds counts, a fault spoils all.
  while (ratios.length < rounds) {
    const before = await bystander.measure()
    const attacker = new Worker(thread('attacker'), { workerData: data })
    await once(attacker, 'message')
    const during = await bystander.measure()
    worstHeap = Math.max(worstHeap, process.memoryUsage().heapUsed)
    attacker.postMessage('stop')
    const [{ attacks: count, ends }] = (await once(attacker, 'message')) as [
      { attacks: number; ends: Record<string, number> },
    ]
    calls += count
    t.ok(
      Object.keys(ends).every((seen) => end.test(seen)),
      `${name}: the attacker saw ${JSON.stringify(ends)}`,
    )
    t.ok(during.count > 5, `${name}: the bystander exchanged ${during.count} messages meanwhile`)
    ratios.push({ p50: during.p50 / before.p50, p99: during.p99 / before.p99 })
    if (withinBounds(ratios)) break
  }
  t.ok(withinBounds(ratios), `${name}: ${JSON.stringify(ratios)} times the bystander's own latency`)
  t.same(await bystander.stop(), { wrong: 0, lost: undefined }, `${name}: it lost nothing`)
  t.ok(bench.errors.length > 0 && calls > 0, `${name}: every refusal is reported`)
  for (const { error, peer } of bench.errors) {
    t.ok(
      new RegExp(`^(${code})$`).test(error.code) && message.test(error.message) && peer.address === '127.0.0.1',
      `${name}: ${error.message}`,
    )
  }
  const repeats = new Repeats()
  const lines = bench.errors.filter(({ error, peer }) => repeats.admit(`${error.code} ${peer.address}`) !== undefined)
  t.ok(
    lines.length <= new Set(code.split('|')).size,
    `${name}: ${bench.errors.length} refusals make ${lines.length} lines`,
  )
  t.ok(worstHeap < mostHeapBytes, `${name}: ${(worstHeap / 1024 / 1024).toFixed(0)} MiB of heap`)
  await bench.close()
}

function withinBounds(ratios: readonly { p50: number; p99: number }[]): boolean {
  return ratios.some(({ p50, p99 }) => p50 <= mostTimesP50 && p99 <= mostTimesP99)
}

for (const attack of attacks) {
  t.test(`${attack.name}: refused over and over, and a bystander keeps its latency`, (t) => judged(t, attack))
}
