// The order in which resources go out: what others name comes before them. Receivers do not depend on it.
import type { CompiledKind, CompiledResource } from '../../core/model/types.ts'

const kindOrder: Readonly<Record<CompiledKind, number>> = {
  Mesh: 0,
  Authorization: 1,
  Service: 2,
  Destination: 3,
  RateLimit: 4,
  Routes: 5,
  Workload: 6,
}

export function inSendingOrder(resources: readonly CompiledResource[]): readonly CompiledResource[] {
  return resources.toSorted((a, b) => kindOrder[a.kind] - kindOrder[b.kind])
}
