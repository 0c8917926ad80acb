// The headers of a CONNECT as ambient writes them: who calls (`baggage`), one trace per connection (`traceparent`). All pure but
// for the random trace; `forwarded` is core's. Called by daemon and waypoint.
import { randomBytes } from 'node:crypto'
import { canonicalName, canonicalRevision } from '../model/canonical.ts'
import type { MeshSettings, Workload } from '../model/types.ts'

/** W3C baggage with the keys that ztunnel writes (ztunnel `src/baggage.rs`). Values are percent-encoded. */
export function formatBaggage(workload: Workload, settings: MeshSettings): string {
  const [region = '', zone = ''] = workload.locality.split('/')
  const entries: readonly (readonly [string, string])[] = [
    ['k8s.cluster.name', settings.clusterName],
    ['k8s.namespace.name', workload.namespace],
    ['k8s.pod.name', workload.name],
    ['service.name', canonicalName(workload)],
    ['service.version', canonicalRevision(workload)],
    ['cloud.region', region],
    ['cloud.availability_zone', zone],
  ]
  return entries
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
    .join(',')
}

const known = new WeakMap<Workload, { readonly clusterName: string; readonly baggage: string }>()

/** `formatBaggage`, once per workload of a model. */
export function baggageOf(workload: Workload, settings: MeshSettings): string {
  const kept = known.get(workload)
  if (kept !== undefined && kept.clusterName === settings.clusterName) return kept.baggage
  const baggage = formatBaggage(workload, settings)
  known.set(workload, { clusterName: settings.clusterName, baggage })
  return baggage
}

const zero = /^0+$/

const pool = { bytes: Buffer.alloc(0), used: 0 }

/** From a pool: asking the generator costs more than the rest of the header. */
function pooledBytes(size: number): Buffer {
  if (pool.used + size > pool.bytes.length) {
    pool.bytes = randomBytes(128 * size)
    pool.used = 0
  }
  pool.used += size
  return pool.bytes.subarray(pool.used - size, pool.used)
}

/** W3C trace context, version 00, not sampled. */
export function newTraceparent(random: (size: number) => Buffer = pooledBytes): string {
  const hex = random(24).toString('hex')
  const trace = hex.slice(0, 32)
  const span = hex.slice(32)
  return zero.test(trace) || zero.test(span) ? newTraceparent(random) : `00-${trace}-${span}-00`
}
