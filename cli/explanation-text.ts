// An explanation as people read it: the verdict, the numbered steps, each way with the policies that were asked, the hosts that
// were asked. Pure; used by `culvert explain`.
import type {
  ExplainedPath,
  ExplainedPolicy,
  ExplainStep,
  Explanation,
  LiveExplanation,
  LiveReport,
} from '../core/model/explanation.ts'
import type { Colour, Paint } from './render.ts'

type Verdict = Explanation['verdict']

const tints: Readonly<Record<Verdict, Colour>> = {
  allowed: 'green',
  denied: 'red',
  unreachable: 'red',
  'not-captured': 'yellow',
  mixed: 'yellow',
}

/** Ways and members shown; `-o json` has them all. */
const maxShown = 20

export function explanationText(explanation: Explanation | LiveExplanation, paint: Paint): string {
  const { verdict, summary, steps, paths, standby } = explanation
  return [
    `${paint(tints[verdict], verdict.toUpperCase())}  ${summary}`,
    '',
    ...steps.flatMap((step, index) => stepLines(step, index + 1, paint)),
    ...section(paint, paths.length === 1 ? 'PATH' : `PATHS (${paths.length})`, paths, (path) => pathLines(path, paint)),
    ...section(paint, 'STANDBY', standby, ({ workload, because }) => [
      `  ${workload.namespace}/${workload.name}: ${because}`,
    ]),
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

function pathLines(path: ExplainedPath, paint: Paint): readonly string[] {
  const { dial, target, share, verdict, because, code, workload, service, callerSeen, authorization } = path
  const via = dial === target ? '' : `${dial} -> `
  const end = workload === undefined ? '' : ` ${workload.namespace}/${workload.name}`
  const of = share === 1 ? '' : `, ${percent(share)} of the connections`
  const through = service === undefined ? '' : `, endpoint of ${service}`
  return [
    `  ${via}${target}${end}: ${paint(tints[verdict], verdict)}${code === undefined ? '' : ` (${code})`}${of}${through}`,
    `      ${because}`,
    ...(callerSeen === undefined ? [] : [`      the application sees the caller as ${callerSeen}`]),
    ...(authorization?.policies ?? []).flatMap((policy) => policyLines(policy, paint)),
  ]
}

function percent(share: number): string {
  const value = share * 100
  return value < 0.1 ? '<0.1%' : `${value.toFixed(1).replace(/\.0$/, '')}%`
}

function policyLines(policy: ExplainedPolicy, paint: Paint): readonly string[] {
  const { policy: name, action, scope, dryRun, outcome, because, rules } = policy
  const decided = outcome === 'decided' || outcome === 'missing'
  const shown = decided ? paint(action === 'ALLOW' ? 'green' : 'red', name) : name
  return [
    `      ${action} ${shown}${dryRun ? ' (dry run)' : ''}, for the ${scope}: ${because}`,
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
  if (differences.length === 0) return [`${who}: ${paint('green', 'agrees')}, ${version}`]
  return [`${who}: ${paint('yellow', 'differs')}, ${version}`, ...differences.map((text) => `      ${text}`)]
}

function lag(behind: number | undefined): string {
  if (behind === undefined) return ' of another history'
  if (behind === 0) return ''
  return behind > 0 ? `, ${behind} behind` : `, ${-behind} ahead`
}
