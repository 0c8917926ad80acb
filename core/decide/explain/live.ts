// What `--live` compares: the answer of a daemon on its own state with what control explained. Pure; the daemon makes a view,
// control holds it against its explanation.
import type { ExplainedPath, Explanation, LivePath, LiveReport, LiveView } from '../../model/explanation.ts'

export type Side = LiveReport['asked'][number]

/** Of what is said on the wire. */
const maxReasonLength = 1_000

/** `served`: what the daemon knows of each workload that it serves, by uid. */
export function viewOf(
  { model, verdict, paths, limits, source }: Explanation,
  served: ReadonlyMap<string, LiveView['served'][number]>,
): LiveView {
  const uids = new Set([source.workload?.uid, ...paths.map(({ workload }) => workload?.uid)])
  return {
    model,
    verdict,
    paths: paths.map(livePath),
    limits,
    served: [...uids].flatMap((uid) => served.get(uid ?? '') ?? []),
  }
}

function livePath(path: ExplainedPath): LivePath {
  const { dial, target, verdict, because, transport, workload, authorization, waypoint } = path
  const policy = authorization?.policy
  return {
    dial,
    target,
    verdict,
    because: because.slice(0, maxReasonLength),
    transport,
    ...(workload === undefined ? {} : { uid: workload.uid }),
    ...(policy === undefined ? {} : { policy }),
    ...(waypoint?.outcome === 'passed' ? { waypoint: waypoint.waypoint } : {}),
  }
}

/** What a daemon sees otherwise than `explanation` says, as far as it has a part in it. */
export function differences(
  explanation: Explanation,
  view: LiveView,
  host: string,
  sides: readonly Side[],
): readonly string[] {
  const mine = explanation.paths.map(livePath)
  const concerns = (path: LivePath): boolean =>
    sides.includes('source') || uidsOn(explanation, host).has(path.uid ?? '')
  const byWay = new Map(view.paths.map((path) => [wayOf(path), path]))
  const found: string[] = []
  for (const path of mine.filter(concerns)) {
    const theirs = byWay.get(wayOf(path))
    byWay.delete(wayOf(path))
    if (theirs === undefined) found.push(`${path.target}: the daemon knows no such way`)
    else found.push(...differing(path, theirs))
  }
  if (sides.includes('source'))
    for (const path of byWay.values()) found.push(`${path.target}: only the daemon knows this way`)
  return [...found, ...unready(explanation, view, host)]
}

function wayOf({ dial, target, uid }: LivePath): string {
  return `${dial} ${target} ${uid ?? ''}`
}

function differing(explained: LivePath, theirs: LivePath): readonly string[] {
  const { target } = explained
  if (explained.transport !== theirs.transport) {
    return [`${target}: the daemon uses ${theirs.transport}, explained was ${explained.transport}`]
  }
  if (explained.waypoint !== theirs.waypoint) {
    const [mine, other] = [explained.waypoint, theirs.waypoint].map((name) => name ?? 'no waypoint')
    return [`${target}: the daemon goes through ${other}, explained was ${mine}`]
  }
  if (explained.verdict === theirs.verdict && explained.policy === theirs.policy) return []
  return [`${target}: for the daemon it is ${theirs.verdict} (${theirs.because}), explained was ${explained.verdict}`]
}

function uidsOn({ paths }: Explanation, host: string): ReadonlySet<string> {
  return new Set(paths.flatMap(({ workload }) => (workload?.host === host ? [workload.uid] : [])))
}

/** Captured workloads of the host that its daemon does not serve, or for which it has no certificate. */
function unready({ source, paths }: Explanation, { served }: LiveView, host: string): readonly string[] {
  const known = new Map(served.map((each) => [each.uid, each]))
  const workloads = [source.workload, ...paths.map(({ workload }) => workload)].filter((each) => each !== undefined)
  const here = new Map(workloads.filter((each) => each.host === host).map((each) => [each.uid, each]))
  return [...here.values()].flatMap(({ uid, namespace, name, capture }) => {
    const captured = capture === 'captured' || capture === 'leaving'
    const serves = known.get(uid)
    if (captured && serves === undefined) return [`the daemon does not serve ${namespace}/${name}`]
    if (!captured && serves !== undefined) return [`the daemon serves ${namespace}/${name} already`]
    if (serves === undefined || serves.certificateNotAfterMs !== undefined) return []
    return [`the daemon has no certificate for ${namespace}/${name}`]
  })
}
