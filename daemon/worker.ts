// Entry of a data worker thread: a DataPlane on real namespaces, driven by the messages of workers.ts. Anything uncaught ends
// the thread; the main thread starts another one with the full state.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { asMeshError } from '../core/base/errors.ts'
import { createLogger, type Logger } from '../core/base/log.ts'
import { MetricSet } from '../core/base/metrics.ts'
import { collectWhenQuiet } from '../core/base/quiet.ts'
import { giveBackMemory } from '../core/net/sys-memory.ts'
import { DataPlane } from './data-plane.ts'
import { startDns } from './dns/server.ts'
import { namespaceDnsSockets } from './dns/sockets.ts'
import type { Plane } from './plane.ts'
import type { Served } from './served.ts'
import { NamespaceSockets } from './sockets.ts'
import { DnsMetrics } from './telemetry/dns-counters.ts'
import type { Applied, WorkerAnswer, WorkerRequest, WorkerSetup } from './worker-messages.ts'
import type { Stoppable } from './workloads.ts'

const noneFailed: Readonly<Record<string, string>> = {}

class DataWorker {
  readonly #log: Logger
  readonly #metrics = new MetricSet()
  readonly #plane: DataPlane

  constructor(setup: WorkerSetup) {
    this.#log = createLogger({ name: 'daemon', level: setup.logLevel, gather: true })
    const sockets = new NamespaceSockets()
    const dnsMetrics = new DnsMetrics(this.#metrics)
    this.#plane = new DataPlane({
      sockets,
      limits: setup.limits,
      drainMs: setup.drainMs,
      metrics: this.#metrics,
      log: this.#log,
      startDns: (served, plane) => workloadDns(served, plane, sockets, dnsMetrics),
    })
  }

  async handle(request: WorkerRequest): Promise<unknown> {
    const plane = this.#plane
    switch (request.operation) {
      case 'state': {
        for (const certificate of request.certificates) plane.setCertificate(certificate)
        const refused = plane.apply(request.delta)
        return { refused, failed: await plane.setWorkloads(request.workloads) } satisfies Applied
      }
      case 'delta':
        return { refused: plane.apply(request.delta), failed: noneFailed } satisfies Applied
      case 'workload-add':
        return await this.#add(request)
      case 'workload-remove':
        await plane.removeWorkload(request.uid)
        return { refused: [], failed: noneFailed } satisfies Applied
      case 'certificate':
        return plane.setCertificate(request.certificate)
      case 'certificate-forget':
        return plane.forgetCertificate(request.identity)
      case 'log-level':
        return plane.setLogLevel(request.level)
      case 'metrics':
        plane.flushMetrics()
        return this.#metrics.snapshot()
      case 'connections':
        return plane.listConnections()
      case 'drain':
        await plane.drain(request.deadlineMs)
        // The last lines of the log leave at the end of the turn, and the thread may end right after the answer.
        return await nextTurn()
    }
  }

  async #add({ workload }: Extract<WorkerRequest, { operation: 'workload-add' }>): Promise<Applied> {
    try {
      await this.#plane.addWorkload(workload)
      return { refused: [], failed: noneFailed }
    } catch (error: unknown) {
      this.#log.error({ err: error, workload: workload.uid }, 'a workload cannot be served')
      return { refused: [], failed: { [workload.uid]: asMeshError(error, 'SYSTEM_CALL').message } }
    }
  }
}

/** The DNS of one workload, whose counters end with it. */
async function workloadDns(
  { local }: Served,
  { snapshot, log }: Plane,
  sockets: NamespaceSockets,
  metrics: DnsMetrics,
): Promise<Stoppable> {
  const dns = await startDns({
    snapshot,
    workload: local,
    sockets: namespaceDnsSockets(sockets.namespaceOf(local)),
    counters: metrics.for(local),
    log,
  })
  const forget = (): void => metrics.forget(local)
  return { drain: () => dns.drain().then(forget), close: () => dns.close().then(forget) }
}

function serve(port: MessagePort, worker: DataWorker): void {
  const answer = (message: WorkerAnswer): void => port.postMessage(message)
  port.on('message', (request: WorkerRequest) => {
    worker.handle(request).then(
      (result) => answer({ type: 'answer', id: request.id, answer: result }),
      (error: unknown) => {
        const { code, message } = asMeshError(error, 'SYSTEM_CALL')
        answer({ type: 'error', id: request.id, code, message })
      },
    )
  })
  collectWhenQuiet(giveBackMemory)
  answer({ type: 'ready' })
}

if (!isMainThread && parentPort !== null) serve(parentPort, new DataWorker(workerData as WorkerSetup))
