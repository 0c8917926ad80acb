// A control plane in process for direct tests: started, called over its API, joined by hosts that are only a feed client and a
// snapshot.
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parse } from 'yaml'
import { build, type Control } from '../../control/app.ts'
import { controlRows } from '../../control/config.ts'
import { renderKubeconfig } from '../../control/kubeconfig.ts'
import { parseConfig } from '../../core/base/config.ts'
import { nullLogger } from '../../core/base/log.ts'
import { FeedClient } from '../../core/feed/client.ts'
import { joinMesh } from '../../core/feed/join.ts'
import type { WorkloadReport } from '../../core/feed/messages.ts'
import { createCsr, createKeyPair } from '../../core/identity/csr.ts'
import { Snapshot } from '../../core/model/snapshot.ts'
import type { CompiledDelta } from '../../core/model/types.ts'

export type Test = { teardown(done: () => Promise<unknown>): void }
export const limitMs = 10_000

export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + limitMs
  while (performance.now() < end) {
    const value = await probe()
    if (value !== undefined && value !== false) return value
    await pause(10)
  }
  throw new Error(`not in time: ${what}`)
}

export async function directory(t: Test): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'culvert-control-'))
  t.teardown(() => rm(made, { recursive: true, force: true }))
  return made
}

export async function start(t: Test, stateDir: string, flags: Record<string, string> = {}): Promise<Control> {
  const config = parseConfig(controlRows, {
    flags: { stateDir, apiAddress: '127.0.0.1:0', feedAddress: '127.0.0.1:0', ...flags },
  })
  const control = await build(config, { log: nullLogger() })
  t.teardown(() => control.close())
  await control.ready
  return control
}

export interface Answer {
  readonly status: number
  readonly body: Record<string, unknown> & { readonly metadata?: { readonly resourceVersion: string } }
}

/** Calls the API as the kubeconfig says. */
export async function api(
  stateDir: string,
  method: string,
  path: string,
  body?: object,
  token?: string,
): Promise<Answer> {
  const config = parse(await renderKubeconfig(stateDir))
  const { server, 'certificate-authority-data': ca } = config.clusters[0].cluster
  const authorization = `Bearer ${token ?? config.users[0].user.token}`
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, server),
      {
        method,
        ca: Buffer.from(ca, 'base64'),
        agent: false,
        headers: {
          authorization,
          'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('error', reject)
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, body: text.startsWith('{') ? JSON.parse(text) : { text } })
        })
      },
    )
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

export async function token(
  stateDir: string,
  host: string,
  identities: readonly string[],
  more: object = {},
): Promise<string> {
  const { status, body } = await api(stateDir, 'POST', '/culvert/v1/tokens', { host, identities, ...more })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return String(body['token'])
}

export function enrol(control: Control, host: string, tokenText: string) {
  const { address, port } = control.addresses.feed
  return joinMesh({ control: { host: address, port }, host, token: tokenText, signal: AbortSignal.timeout(limitMs) })
}

export type Credentials = Awaited<ReturnType<typeof joinMesh>>

/** An agent without an agent: the feed client, a snapshot and what arrived. */
export class Host {
  readonly client: FeedClient
  readonly snapshot = new Snapshot()
  readonly deltas: CompiledDelta[] = []
  readonly refusals: (readonly { uid: string; reason: string }[])[] = []
  credentials: Credentials
  acknowledges = true
  /** How often the control plane wanted the digests. */
  resyncs = 0

  constructor(control: Control, credentials: Credentials, resumed?: Snapshot, features: readonly string[] = []) {
    this.credentials = credentials
    if (resumed !== undefined) this.snapshot = resumed
    const { address, port } = control.addresses.feed
    this.client = new FeedClient({
      controls: [{ host: address, port }],
      host: credentials.host,
      build: 'test',
      trustDomain: credentials.trustDomain,
      credentials: () => this.credentials,
      resume: () => {
        const { epoch, version } = this.snapshot
        return epoch === '' ? undefined : { epoch, version, digest: this.snapshot.digest() }
      },
      digests: () => {
        this.resyncs += 1
        return this.snapshot.digests()
      },
      features,
      log: nullLogger(),
      timing: { retryBaseMs: 10, retryMaxMs: 50 },
    })
    this.client.on('delta', (delta) => {
      this.deltas.push(delta)
      const refused = this.snapshot.apply(delta)
      if (this.acknowledges) this.client.acknowledge(delta.epoch, delta.version, refused)
    })
    this.client.on('workloadsResult', (refused) => this.refusals.push(refused))
  }

  async connect(t: Test): Promise<this> {
    t.teardown(() => this.client.close())
    this.client.start()
    await until('connected', () => this.deltas.length > 0)
    return this
  }

  async report(...reports: readonly WorkloadReport[]) {
    const before = this.refusals.length
    this.client.report(reports)
    return until('the answer to a report', () => this.refusals[before])
  }

  certificate(identity: string) {
    const { privateKey } = createKeyPair()
    return this.client.requestCertificate(identity, createCsr(privateKey, identity), AbortSignal.timeout(limitMs))
  }
}
