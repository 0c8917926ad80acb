// A real control plane and real agents in this process, with temporary folders, for the agent's direct and netns tests; and a
// daemon that only speaks the handoff.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Agent, build as buildAgent } from '../../agent/app.ts'
import { agentRows } from '../../agent/config.ts'
import { build as buildControl, type Control } from '../../control/app.ts'
import { controlRows } from '../../control/config.ts'
import { parseConfig } from '../../core/base/config.ts'
import { createLogger, nullLogger } from '../../core/base/log.ts'
import { LineChannel } from '../../core/feed/codec.ts'
import type { HandoffToAgent, HandoffToDaemon } from '../../core/feed/handoff.ts'
import { parseHandoffToDaemon } from '../../core/feed/parse.ts'
import { unmountDetach } from '../../core/net/sys.ts'

const log = process.env['AGENT_TEST_LOG'] === undefined ? nullLogger() : createLogger({ name: 'test', level: 'debug' })

export class AgentWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'culvert-agent-'))
  readonly configDir = join(this.folder, 'config')
  control: Control | undefined
  #feedPort = 0
  readonly #agents = new Set<Agent>()

  constructor(test: Test) {
    mkdirSync(this.configDir)
    test.teardown(async () => {
      for (const agent of this.#agents) await agent.close()
      await this.control?.close()
      for (const host of readdirSync(this.folder)) this.#unpin(join(this.folder, host, 'run', 'netns'))
      rmSync(this.folder, { recursive: true, force: true })
    })
  }

  #unpin(directory: string): void {
    const pins = existsSync(directory) ? readdirSync(directory) : []
    for (const pin of pins) unmountDetach(join(directory, pin))
  }

  get feedPort(): number {
    return this.#feedPort
  }

  async startControl(): Promise<Control> {
    const flags = {
      stateDir: join(this.folder, 'control'),
      config: this.configDir,
      apiAddress: '127.0.0.1:0',
      feedAddress: `127.0.0.1:${this.#feedPort}`,
    }
    this.control = await buildControl(parseConfig(controlRows, { flags }), { log: log.child({ part: 'control' }) })
    this.#feedPort = this.control.addresses.feed.port
    await this.control.ready
    return this.control
  }

  async stopControl(): Promise<void> {
    await this.control?.close()
    this.control = undefined
  }

  resources(text: string): void {
    writeFileSync(join(this.configDir, 'resources.yaml'), text)
  }

  namespace(name: string, enrolled: boolean): void {
    const labels = enrolled ? 'labels: {culvert.dev/dataplane-mode: ambient}' : 'labels: {}'
    this.resources(`apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n  ${labels}\n`)
  }

  /** A call of the control plane's API with the operator's token. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
    const { port } = this.control!.addresses.api
    const token = readFileSync(join(this.folder, 'control', 'api-token'), 'utf8').trim()
    const text = body === undefined ? '' : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port,
          path,
          method,
          rejectUnauthorized: false,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        },
        (response) => {
          let answer = ''
          response.on('data', (chunk: Buffer) => {
            answer += chunk.toString()
          })
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer) }))
        },
      )
      sent.on('error', reject)
      sent.end(text)
    })
  }

  async token(host: string, identities: readonly string[], ttlSeconds?: number): Promise<string> {
    const answer = await this.api('POST', '/culvert/v1/tokens', { host, identities, ttlSeconds })
    if (answer.status !== 201) throw new Error(`no token: ${JSON.stringify(answer)}`)
    return String(answer.body['token'])
  }

  paths(host: string): { state: string; run: string; workloads: string; socket: string } {
    const folder = join(this.folder, host)
    const run = join(folder, 'run')
    return { state: join(folder, 'state'), run, workloads: join(folder, 'workloads'), socket: join(run, 'agent.sock') }
  }

  async startAgent(host: string, token?: string): Promise<Agent> {
    const { state, run, workloads } = this.paths(host)
    const flags = {
      host,
      control: `127.0.0.1:${this.#feedPort}`,
      stateDir: state,
      runDir: run,
      workloadsDir: workloads,
      reconcileInterval: '200ms',
      ...(token === undefined ? {} : { token }),
    }
    const agent = await buildAgent(parseConfig(agentRows, { flags }), { log: log.child({ part: host }) })
    this.#agents.add(agent)
    return agent
  }

  async stopAgent(agent: Agent): Promise<void> {
    this.#agents.delete(agent)
    await agent.close()
  }

  define(host: string, name: string, netns: string, more = ''): void {
    const { workloads } = this.paths(host)
    mkdirSync(workloads, { recursive: true })
    const text = `name: ${name}\nnamespace: shop\nserviceAccount: ${name}\nnetns: ${netns}\n${more}`
    writeFileSync(join(workloads, `${name}.yaml`), text)
  }

  undefine(host: string, name: string): void {
    rmSync(join(this.paths(host).workloads, `${name}.yaml`))
  }
}

type Numbered = Extract<HandoffToDaemon, { seq: number }>

/** Acknowledges everything and remembers it. */
export class FakeDaemon {
  readonly received: HandoffToDaemon[] = []
  /** uid → why its listeners cannot be opened. */
  failed: Readonly<Record<string, string>>
  silent = false
  closed = false
  readonly #channel: LineChannel<HandoffToDaemon, HandoffToAgent>
  readonly #stop = new AbortController()

  private constructor(channel: LineChannel<HandoffToDaemon, HandoffToAgent>, failed: FakeDaemon['failed']) {
    this.#channel = channel
    this.failed = failed
    void this.#read()
  }

  /** `hello` is what it says about itself besides its build. */
  static connect(
    path: string,
    test: Test,
    hello: { readonly startedAt?: number | undefined; readonly draining?: boolean } = {},
    failed: FakeDaemon['failed'] = {},
  ): Promise<FakeDaemon> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => {
        const channel = new LineChannel<HandoffToDaemon, HandoffToAgent>(socket, {
          parse: parseHandoffToDaemon,
          limitBytes: 1 << 24,
        })
        channel.send({ type: 'hello', build: 'fake', pid: process.pid, ...hello } as HandoffToAgent)
        const daemon = new FakeDaemon(channel, failed)
        test.teardown(() => daemon.close())
        resolve(daemon)
      })
      socket.once('error', reject)
    })
  }

  send(message: HandoffToAgent): void {
    this.#channel.send(message)
  }

  of<T extends HandoffToDaemon['type']>(type: T): Extract<HandoffToDaemon, { type: T }>[] {
    return this.received.filter((message) => message.type === type) as Extract<HandoffToDaemon, { type: T }>[]
  }

  close(): void {
    this.#stop.abort()
  }

  async #read(): Promise<void> {
    try {
      for await (const message of this.#channel.messages(this.#stop.signal)) {
        this.received.push(message)
        if ('seq' in message && !this.silent) this.#acknowledge(message)
      }
    } catch {
      // the agent is gone
    }
    this.closed = true
  }

  #acknowledge(message: Numbered): void {
    this.#channel.send({ type: 'ack', seq: message.seq, refused: [], failed: this.failed })
  }
}

/** Waits for a condition. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<void> {
  const end = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
