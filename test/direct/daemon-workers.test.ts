// Real worker threads behind the main thread's Workers: they start, answer, and are replaced when they die.
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { nullLogger } from '../../core/base/log.ts'
import type { WorkerSetup, WorkerState } from '../../daemon/worker-messages.ts'
import { Workers } from '../../daemon/workers.ts'
import { resourceOf, workload } from '../helpers/plane-world.ts'

const limits = { maxConnections: 10, maxPending: 10, connectTimeoutMs: 1000, establishTimeoutMs: 1000 }
const missing = {
  uid: 'host/mesh/a/1',
  namespace: 'mesh',
  name: 'a',
  identity: 'spiffe://cluster.local/ns/mesh/sa/a',
  addresses: ['10.0.0.1'],
  netns: { path: '/run/netns/there-is-none', inode: 1 },
  nameservers: [],
}
const state: WorkerState = {
  delta: { epoch: 'e', version: 4, full: true, upserts: [resourceOf(workload('a', '10.0.0.1'))], removes: [] },
  workloads: [],
  certificates: [],
}

t.test('two worker threads serve, fail by name, and come back after a crash', async (t) => {
  const threads: Worker[] = []
  const workers = new Workers({
    count: 2,
    setup: { limits, drainMs: 10, logLevel: 'silent' },
    state: () => state,
    spawn: (setup: WorkerSetup) => {
      const thread = new Worker(new URL('../../daemon/worker.ts', import.meta.url), { workerData: setup })
      threads.push(thread)
      return thread
    },
    log: nullLogger(),
  })
  t.teardown(() => workers.close())
  await workers.start()
  const applied = await workers.all('workload-add', { workload: missing })
  for (const { failed } of applied) t.match(failed[missing.uid], /there-is-none cannot be opened/)
  t.same(await workers.all('connections', {}), [[], []])
  const refused = await workers.all('delta', {
    delta: {
      epoch: 'e',
      version: 5,
      full: false,
      upserts: [{ kind: 'Service', key: 'x', value: {} } as never],
      removes: [],
    },
  })
  t.match(refused, [{ refused: [{ kind: 'Service', key: 'x' }] }, { refused: [{ kind: 'Service', key: 'x' }] }])
  await threads[1]!.terminate()
  t.equal((await workers.some('metrics', {})).length, 2, 'both answer again')
  t.equal(threads.length, 3)
  await workers.all('drain', { deadlineMs: 10 })
})
