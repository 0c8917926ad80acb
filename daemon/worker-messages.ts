// What the main thread asks of a data worker, and what it answers: structured-cloneable values over postMessage. Every
// request has an answer. workers.ts is one end, worker.ts the other.
import type { MetricSnapshot } from '../core/base/metrics.ts'
import type { LocalWorkload } from '../core/feed/handoff.ts'
import type { IssuedCertificate } from '../core/identity/certificate.ts'
import type { CompiledDelta, RefusedResource } from '../core/model/types.ts'
import type { ConnectionLimits } from './connections.ts'
import type { ConnectionView } from './data-plane.ts'

/** `workerData` of a worker. */
export interface WorkerSetup {
  readonly index: number
  readonly limits: ConnectionLimits
  readonly drainMs: number
  readonly logLevel: string
}

/** Everything that a worker needs to serve. */
export interface WorkerState {
  readonly delta: CompiledDelta
  readonly workloads: readonly LocalWorkload[]
  readonly certificates: readonly IssuedCertificate[]
}

export interface Applied {
  readonly refused: readonly RefusedResource[]
  /** uid → reason, for workloads whose listeners could not be opened. */
  readonly failed: Readonly<Record<string, string>>
}

/** Request and answer of each operation. */
export interface WorkerOperations {
  state: { request: WorkerState; answer: Applied }
  delta: { request: { readonly delta: CompiledDelta }; answer: Applied }
  'workload-add': { request: { readonly workload: LocalWorkload }; answer: Applied }
  'workload-remove': { request: { readonly uid: string }; answer: Applied }
  certificate: { request: { readonly certificate: IssuedCertificate }; answer: undefined }
  'certificate-forget': { request: { readonly identity: string }; answer: undefined }
  'log-level': { request: { readonly level: string }; answer: undefined }
  metrics: { request: object; answer: MetricSnapshot }
  connections: { request: object; answer: readonly ConnectionView[] }
  drain: { request: { readonly deadlineMs: number }; answer: undefined }
}

export type Operation = keyof WorkerOperations

export type WorkerRequest = {
  [O in Operation]: { readonly id: number; readonly operation: O } & WorkerOperations[O]['request']
}[Operation]

export type WorkerAnswer =
  | { readonly type: 'ready' }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'error'; readonly id: number; readonly code: string; readonly message: string }
