// How `culvert explain` reads to people: the verdict, each step of the way with its reason, each path with its policies, and what the
// daemons said. Pure.
import type {
  ExplainedAuthorization,
  ExplainedPath,
  ExplainedPolicy,
  ExplainStep,
  Explanation,
  LiveExplanation,
  LiveReport,
} from '../core/model/explanation.ts'
import { type Colour, type Paint, table } from './render.ts'

const tints: Readonly<Record<Explanation['verdict'], Colour>> = {
  allowed: 'green',
  denied: 'red',
  unreachable: 'red',
  mixed: 'yellow',
  'not-captured': 'yellow',
}

export function explanationText(explanation: Explanation | LiveExplanation, colour: Paint): string {
  const { verdict, summary, steps, paths, standby, model } = explanation
  const parts = [
    `${colour(tints[verdict], verdict.toUpperCase())}  ${summary}`,
    steps.map((step, index) => stepText(step, index + 1, colour)).join('\n'),
    pathsText(paths),
    ...reasonsText(paths, colour),
    ...(standby.length > 0 ? [standbyText(standby)] : []),
    ...('live' in explanation ? [liveText(explanation.live, colour)] : []),
    colour('dim', `version ${model.version} of the mesh`),
  ]
  return `${parts.join('\n\n')}\n`
}

function stepText({ what, outcome, because, passed }: ExplainStep, number: number, colour: Paint): string {
  const mark = passed === undefined ? ' ' : passed ? colour('green', '+') : colour('red', 'x')
  const reason = because === '' ? '' : `\n       ${because}`
  return `${String(number).padStart(2)} ${mark} ${colour('bold', what)}: ${outcome}${reason}`
}

function pathsText(paths: readonly ExplainedPath[]): string {
  const rows = paths.map(({ workload, target, dial, share, transport, callerSeen = '', verdict }) => [
    workload === undefined ? '<unknown>' : `${workload.namespace}/${workload.name}`,
    workload?.host ?? '',
    dial,
    dial === target ? '' : target,
    `${Math.round(share * 1000) / 10}%`,
    transport,
    callerSeen,
    verdict,
  ])
  return table(
    ['WORKLOAD', 'HOST', 'DIALLED', 'BECOMES', 'SHARE', 'TRANSPORT', 'CALLER-SEEN-AS', 'VERDICT'],
    rows,
  ).trimEnd()
}

/** Why, once for all paths of which the same is true. */
function reasonsText(paths: readonly ExplainedPath[], colour: Paint): readonly string[] {
  const groups = new Map<string, ExplainedPath[]>()
  for (const path of paths) {
    const { verdict, because, code, identities, peerAuthentication, authorization } = path
    const key = JSON.stringify({ verdict, because, code, identities, peerAuthentication, authorization })
    groups.set(key, [...(groups.get(key) ?? []), path])
  }
  return [...groups.values()].map((alike) => reasonText(alike, groups.size > 1, colour))
}

function reasonText(paths: readonly ExplainedPath[], named: boolean, colour: Paint): string {
  const [path] = paths as readonly [ExplainedPath]
  const { verdict, because, code, identities, authorization } = path
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['verdict', `${colour(tints[verdict], verdict)}, ${because}${code === undefined ? '' : ` (${code})`}`],
    ['source is', identities?.source],
    ['peer must be', identities?.destination.join(' or ')],
    ['mutual TLS', peerAuthenticationText(path)],
  ]
  const lines = rows.flatMap(([what, text]) => (text === undefined ? [] : [line(what, text)]))
  const policies = authorization === undefined ? [] : authorizationText(authorization, colour)
  const who = new Set(paths.map(({ workload, target }) => (workload === undefined ? target : workload.name)))
  return [...(named ? [`To ${[...who].join(', ')}:`] : ['Why:']), ...lines, ...policies].join('\n')
}

function line(what: string, text: string): string {
  return `  ${what.padEnd(15)} ${text}`
}

function peerAuthenticationText({ peerAuthentication }: ExplainedPath): string | undefined {
  if (peerAuthentication === undefined) return undefined
  const { mode, source } = peerAuthentication
  return `${mode}, ${source === undefined ? 'the default' : `by PeerAuthentication ${source}`}`
}

function authorizationText(authorization: ExplainedAuthorization, colour: Paint): readonly string[] {
  const { allowed, policy, because, dryRun, policies } = authorization
  const decided = policy === undefined ? '' : ` by ${policy}`
  return [
    line('authorization', `${colour(allowed ? 'green' : 'red', allowed ? 'allowed' : 'denied')}${decided}, ${because}`),
    ...(dryRun === undefined ? [] : [line('dry run', dryRun)]),
    ...policies.flatMap((each) => policyText(each)),
  ]
}

/** Rules that do not match are told only where their policy did not decide: there the question is why. */
function policyText({ policy, action, scope, dryRun, outcome, because, rules }: ExplainedPolicy): readonly string[] {
  const head = `    ${action}${dryRun ? ' (dry run)' : ''} ${policy}, for the ${scope}: ${outcome}, ${because}`
  const told = outcome === 'decided' || outcome === 'matched' ? rules.filter(({ matches }) => matches) : rules
  return [head, ...told.map(({ rule, because: why }) => `      rule ${rule}: ${why}`)]
}

function standbyText(standby: Explanation['standby']): string {
  const lines = standby.map(({ workload, because }) => `  ${workload.namespace}/${workload.name}: ${because}`)
  return ['No connections go to', ...lines].join('\n')
}

function liveText(live: readonly LiveReport[], colour: Paint): string {
  if (live.length === 0) return 'No daemon to ask: neither end is on a host of the mesh.'
  const rows = live.map(({ host, asked, failed, model, behind = 0 }) => [
    host,
    asked.join(','),
    failed === undefined ? String(model?.version ?? '') : '-',
    failed === undefined ? (behind === 0 ? 'current' : `${behind} behind`) : `no answer: ${failed}`,
  ])
  const findings = live.flatMap(({ host, differences }) => differences.map((text) => `  ${host}: ${text}`))
  const answered = live.filter(({ failed }) => failed === undefined).length
  const agree =
    answered === live.length
      ? colour('green', 'The daemons agree.')
      : `${answered} of ${live.length} daemons answered, and agree.`
  const verdict =
    findings.length > 0
      ? [colour('red', 'The daemons see it otherwise:'), ...findings].join('\n')
      : answered > 0
        ? agree
        : ''
  return `${table(['HOST', 'END', 'VERSION', 'STATE'], rows)}${verdict}`.trimEnd()
}
