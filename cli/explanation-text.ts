// An explanation as people read it: the verdict, the numbered steps, the ways with the policies that were asked (those alike in
// one table), the hosts that were asked. Pure; used by `culvert explain`.
import type {
  ExplainedPath,
  ExplainedPolicy,
  ExplainStep,
  Explanation,
  LiveExplanation,
  LiveReport,
} from '../core/model/explanation.ts'
import { type Colour, type Paint, table } from './render.ts'

type Verdict = Explanation['verdict']

const tints: Readonly<Record<Verdict, Colour>> = {
  allowed: 'green',
  denied: 'red',
  unreachable: 'red',
  'not-captured': 'yellow',
  mixed: 'yellow',
}

/** Kinds of ways, ways of a kind and members shown; `-o json` has them all. */
const maxShown = 20

export function explanationText(explanation: Explanation | LiveExplanation, paint: Paint): string {
  const { verdict, summary, steps, paths, standby } = explanation
  return [
    `${paint(tints[verdict], verdict.toUpperCase())}  ${summary}`,
    '',
    ...steps.flatMap((step, index) => stepLines(step, index + 1, paint)),
    ...section(paint, paths.length === 1 ? 'PATH' : `PATHS (${paths.length})`, blocksOf(paths), (alike) =>
      blockLines(alike, isRouted(explanation), paint),
    ),
    ...section(paint, 'STANDBY', standby, ({ workload, because }) => [`  ${nameOf(workload)}: ${because}`]),
    ...('live' in explanation ? liveLines(explanation, paint) : []),
  ].join('\n')
}

function section<T>(
  paint: Paint,
  title: string,
  items: readonly T[],
  linesOf: (item: T) => readonly string[],
): readonly string[] {
  if (items.length === 0) return []
  const more = items.length - maxShown
  const rest = more > 0 ? [`  and ${more} more: see them with -o json`] : []
  return ['', paint('bold', title), ...items.slice(0, maxShown).flatMap(linesOf), ...rest]
}

function stepLines({ what, outcome, because, passed, targets }: ExplainStep, number: number, paint: Paint): string[] {
  const tinted = passed === false ? paint('red', outcome) : outcome
  const only = targets === undefined ? '' : ` (${some(targets)})`
  return [`${String(number).padStart(2)}. ${paint('bold', what)}: ${tinted}${only}`, `      ${because}`]
}

function some(texts: readonly string[]): string {
  const more = texts.length - 3
  return [...texts.slice(0, 3), ...(more > 0 ? [`and ${more} more`] : [])].join(', ')
}

/** A route says who gets a request: the shares of the service's own endpoints are not what happens then. */
function isRouted({ steps, paths }: Explanation): boolean {
  const passes = paths.some(({ waypoint }) => waypoint?.outcome === 'passed')
  return passes && steps.some(({ what, outcome }) => what === 'route' && outcome !== 'none')
}

/** Ways that differ in their addresses only are one block with a table. */
function blocksOf(paths: readonly ExplainedPath[]): readonly (readonly ExplainedPath[])[] {
  const alike = ({ verdict, because, code, service, authorization, waypoint }: ExplainedPath): string =>
    JSON.stringify([verdict, because, code, service, authorization?.policies, waypoint?.waypoint, waypoint?.outcome])
  return [...Map.groupBy(paths, alike).values()]
}

function blockLines(paths: readonly ExplainedPath[], routed: boolean, paint: Paint): readonly string[] {
  const [first] = paths
  if (first === undefined) return []
  const { verdict, because, code, service, authorization, waypoint } = first
  const shown = `${paint(tints[verdict], verdict)}${code === undefined ? '' : ` (${code})`}`
  const [only, ...others] = paths
  const isOne = only !== undefined && others.length === 0
  const leads = service !== undefined && paths.some(({ workload }) => workload !== undefined)
  const endpoints = !leads ? '' : `, ${isOne ? 'endpoint' : 'endpoints'} of ${service}`
  const through = waypoint?.outcome === 'passed' ? `${endpoints}, through waypoint ${waypoint.waypoint}` : endpoints
  const policies = (authorization?.policies ?? []).flatMap((policy) => policyLines(policy, paint))
  const note = routed ? ['      which of them gets a request, or who else, is for the route above to say'] : []
  if (!isOne) return [`  ${shown}${through}`, `      ${because}`, ...note, ...policies, ...pathTable(paths, routed)]
  const share = only.share === 1 || routed ? '' : `, ${percent(only.share)} of the connections`
  return [
    `  ${placeOf(only)}: ${shown}${share}${through}`,
    `      ${because}`,
    ...note,
    ...(only.callerSeen === undefined ? [] : [`      the application sees the caller as ${only.callerSeen}`]),
    ...policies,
  ]
}

function placeOf({ dial, target, workload }: ExplainedPath): string {
  return `${dial === target ? '' : `${dial} -> `}${target}${workload === undefined ? '' : ` ${nameOf(workload)}`}`
}

function nameOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`
}

function pathTable(paths: readonly ExplainedPath[], routed: boolean): readonly string[] {
  const rows = paths
    .slice(0, maxShown)
    .map(({ dial, target, workload, share, callerSeen }) => [
      dial,
      target,
      workload === undefined ? '-' : nameOf(workload),
      ...(routed ? [] : [percent(share)]),
      callerSeen ?? '-',
    ])
  const more = paths.length - maxShown
  return [
    ...table(['DIALLED', 'ENDS AT', 'WORKLOAD', ...(routed ? [] : ['SHARE']), 'CALLER SEEN'], rows)
      .trimEnd()
      .split('\n')
      .map((line) => `      ${line}`),
    ...(more > 0 ? [`      and ${more} more: see them with -o json`] : []),
  ]
}

function percent(share: number): string {
  const value = share * 100
  return value < 0.1 ? '<0.1%' : `${value.toFixed(1).replace(/\.0$/, '')}%`
}

function policyLines(policy: ExplainedPolicy, paint: Paint): readonly string[] {
  const { policy: name, action, scope, dryRun, outcome, because, rules, notes = [] } = policy
  const decided = outcome === 'decided' || outcome === 'missing'
  const shown = decided ? paint(action === 'ALLOW' ? 'green' : 'red', name) : name
  return [
    `      ${action} ${shown}${dryRun ? ' (dry run)' : ''}, for the ${scope}: ${because}`,
    ...notes.map((note) => `        ${paint('yellow', 'note:')} ${note}`),
    ...rules.map((rule) => `        rule ${rule.rule} ${rule.matches ? 'matches' : 'does not match'}: ${rule.because}`),
  ]
}

function liveLines({ live, model }: LiveExplanation, paint: Paint): readonly string[] {
  const none = ['', paint('bold', 'LIVE'), '  no host has a part in it: nobody could be asked']
  if (live.length === 0) return none
  const title = `LIVE (explained with version ${model.version})`
  return section(paint, title, live, (report) => reportLines(report, paint))
}

function reportLines(report: LiveReport, paint: Paint): readonly string[] {
  const { host, asked, failed, model, behind, differences } = report
  const who = `  ${host} (${asked.join(' and ')})`
  if (failed !== undefined) return [`${who}: ${paint('red', 'not confirmed')}: ${failed}`]
  const version = `version ${model?.version ?? '?'}${lag(behind)}`
  if (differences.length === 0) return [`${who}: ${agreement(asked, behind, paint)}, ${version}`]
  return [`${who}: ${paint('yellow', 'differs')}, ${version}`, ...differences.map((text) => `      ${text}`)]
}

/** A waypoint is not asked what it would do, only known by what it has taken. */
function agreement(asked: LiveReport['asked'], behind: number | undefined, paint: Paint): string {
  if (!asked.includes('waypoint')) return paint('green', 'agrees')
  return behind === 0 ? paint('green', 'has taken it') : paint('yellow', 'has not taken it yet')
}

function lag(behind: number | undefined): string {
  if (behind === undefined) return ' of another history'
  if (behind === 0) return ''
  return behind > 0 ? `, ${behind} behind` : `, ${-behind} ahead`
}
