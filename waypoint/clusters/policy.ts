// What DestinationRules say of one port of a service or of a subset: each part from the most specific place that has it. Pure; asked by
// cluster.ts whenever the rules change.
import type { Destination, DestinationPolicy } from '../../core/model/destinations.ts'

const parts = ['loadBalancing', 'warmup', 'locality', 'pool', 'outliers', 'retryBudget', 'tls'] as const

/** A part is taken whole, never merged with that of a less specific place (Istio). */
export function policyOf(
  destinations: readonly Destination[],
  port: number,
  subset: string | undefined,
): DestinationPolicy {
  const [first] = destinations
  const named = destinations.flatMap(({ subsets }) => subsets).find(({ name }) => name === subset)
  const places = [first?.policy, first && portOf(first, port), named?.policy, named && portOf(named, port)]
  const policy: { -readonly [Part in keyof DestinationPolicy]: DestinationPolicy[Part] } = {}
  for (const place of places) {
    if (place !== undefined) for (const part of parts) take(policy, place, part)
  }
  return policy
}

function portOf({ ports }: Pick<Destination, 'ports'>, port: number): DestinationPolicy | undefined {
  const key = String(port)
  return Object.hasOwn(ports, key) ? ports[key] : undefined
}

function take<Part extends keyof DestinationPolicy>(
  into: { -readonly [Key in keyof DestinationPolicy]: DestinationPolicy[Key] },
  from: DestinationPolicy,
  part: Part,
): void {
  const value = from[part]
  if (value !== undefined) into[part] = value
}
