// Which compiled kinds a subscriber of the feed gets: agents what layer 4 decides on, waypoints everything. Versions are those of the
// mesh for both; epochs differ, so that a subscriber that becomes another is compared resource by resource.
import type { CompiledKind } from '../model/types.ts'

export const views = ['agent', 'waypoint'] as const

export type View = (typeof views)[number]

/** Named in the hello of a waypoint. */
export const waypointFeature = 'waypoint'

const seenBy: Readonly<Record<CompiledKind, 'all' | 'waypoints'>> = {
  Mesh: 'all',
  Authorization: 'all',
  Service: 'all',
  Workload: 'all',
  Routes: 'waypoints',
  Destination: 'waypoints',
  RateLimit: 'waypoints',
}

export function viewOf(features: readonly string[]): View {
  return features.includes(waypointFeature) ? 'waypoint' : 'agent'
}

export function isSeen(kind: CompiledKind, view: View): boolean {
  return view === 'waypoint' || seenBy[kind] === 'all'
}

/** What stands in a delta for a subscriber: `epoch` is that of the mesh. */
export function epochIn(view: View, epoch: string): string {
  return view === 'agent' ? epoch : `${epoch}+${view}`
}
