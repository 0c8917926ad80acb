import { EventEmitter } from 'node:events'
import type { Worker } from 'node:worker_threads'
import t from 'tap'
import { nullLogger } from '../../../core/base/log.ts'
import type { WorkerRequest, WorkerSetup, WorkerState } from '../../../daemon/worker-messages.ts'
import { Workers } from '../../../daemon/workers.ts'

/** A thread that answers with its own index, and crashes when told to. */
class FakeThread extends EventEmitter {
  readonly setup: WorkerSetup
  readonly requests: WorkerRequest[] = []
  /** Operations that are left without an answer. */
  silent = new Set<string>()

  constructor(setup: WorkerSetup) {
    super()
    this.setup = setup
    setImmediate(() => this.emit('message', { type: 'ready' }))
  }

  postMessage(request: WorkerRequest): void {
    this.requests.push(request)
    if (this.silent.has(request.operation)) return
    const applied = { refused: [], failed: {} }
    const answer = request.operation === 'state' ? applied : this.setup.index
    setImmediate(() => this.emit('message', { type: 'answer', id: request.id, answer }))
  }

  crash(): void {
    this.emit('error', new Error('boom'))
    this.emit('exit', 1)
  }

  async terminate(): Promise<number> {
    this.emit('exit', 0)
    return 0
  }
}

const limits = { maxConnections: 1, maxPending: 1, connectTimeoutMs: 1, establishTimeoutMs: 1 }
const some: WorkerState = {
  delta: { epoch: 'e', version: 1, full: true, upserts: [], removes: [] },
  workloads: [],
  certificates: [],
}

function bench(count: number, state: () => WorkerState | undefined = () => undefined) {
  const threads: FakeThread[] = []
  const workers = new Workers({
    count,
    setup: { limits, drainMs: 1, logLevel: 'silent' },
    state,
    spawn: (setup) => {
      const thread = new FakeThread(setup)
      threads.push(thread)
      return thread as unknown as Worker
    },
    log: nullLogger(),
  })
  return { workers, threads }
}

t.test('every worker is asked and one of them has DNS', async (t) => {
  const { workers, threads } = bench(3)
  await workers.start()
  t.same(await workers.all('metrics', {}), [0, 1, 2])
  t.same(
    threads.map(({ setup }) => [setup.dns, setup.reusePort]),
    [
      [true, true],
      [false, true],
      [false, true],
    ],
  )
  await workers.close()
})

t.test('a single worker shares its ports too: with the daemon that takes over', async (t) => {
  const { workers, threads } = bench(1)
  await workers.start()
  t.equal(threads[0]?.setup.reusePort, true)
  await workers.close()
})

t.test('a worker that crashes is replaced and gets the full state before anything else', async (t) => {
  const { workers, threads } = bench(1, () => some)
  await workers.start()
  threads[0]!.silent.add('connections')
  const unanswered = workers.all('connections', {})
  const tolerated = workers.some('connections', {})
  await new Promise(setImmediate)
  threads[0]!.crash()
  await t.rejects(unanswered, { code: 'ABORTED' })
  t.same(await tolerated, [])
  t.same(await workers.all('metrics', {}), [0], 'asked while it restarts, answered after')
  t.equal(threads.length, 2)
  t.same(
    threads[1]!.requests.map(({ operation }) => operation),
    ['state', 'metrics'],
  )
  await workers.close()
})

t.test('an error of a worker arrives with its code', async (t) => {
  const { workers, threads } = bench(1)
  await workers.start()
  threads[0]!.silent.add('metrics')
  const asking = workers.all('metrics', {})
  await new Promise(setImmediate)
  const { id } = threads[0]!.requests[0]!
  threads[0]!.emit('message', { type: 'error', id, code: 'DRAINING', message: 'going' })
  await t.rejects(asking, { code: 'DRAINING', message: 'going' })
  await workers.close()
})

t.test('after close nothing is asked and nothing restarts', async (t) => {
  const { workers, threads } = bench(1)
  await workers.start()
  await workers.close()
  t.same(await workers.some('metrics', {}), [])
  t.equal(threads.length, 1)
})
