// What to do next with one local workload, decided from what is in place and what is wanted. Pure: workload.ts carries
// it out. Order (DESIGN §4): listeners, redirection, then the report that peers may tunnel; backwards to leave.
import type { WorkloadProtocol } from '../../core/model/types.ts'
import type { Serving } from '../handoff-connection.ts'

/** What is in place for a workload. */
export type Enrolment =
  /** Nothing: the workload talks as if there were no mesh. */
  | { readonly kind: 'plain' }
  /** The daemon is to open its listeners. */
  | { readonly kind: 'offered' }
  /** The listeners were open; the redirection is being installed. */
  | { readonly kind: 'redirecting' }
  /** Traffic is captured. `bypassing`: connections from before, by name; undefined until they were counted. */
  | { readonly kind: 'captured'; readonly bypassing: ReadonlySet<string> | undefined }
  /** Still captured, but reported as not: peers are learning that the tunnel goes away. */
  | { readonly kind: 'releasing'; readonly until: number }
  /** What diverts new connections is being taken away. */
  | { readonly kind: 'undiverting' }
  /** New connections go past the daemon; it still listens for peers that have not heard of it yet. */
  | { readonly kind: 'lingering'; readonly until: number }
  /** The daemon is to close the listeners and drain. */
  | { readonly kind: 'withdrawing' }
  /** The daemon drains; its connections need what is left of the redirection, which leads replies home to it. */
  | { readonly kind: 'draining'; readonly until: number; readonly lookAt: number }
  /** The rest of the redirection is being taken away. */
  | { readonly kind: 'restoring' }

/** Kinds in which a daemon has to serve the workload. */
const servedKinds: ReadonlySet<Enrolment['kind']> = new Set([
  'offered',
  'redirecting',
  'captured',
  'releasing',
  'undiverting',
  'lingering',
])

export function isServed(state: Enrolment): boolean {
  return servedKinds.has(state.kind)
}

/** Whether the mesh asks for capture; `unknown` keeps things as they are. */
export type Wanted = 'yes' | 'no' | 'unknown'

export interface WantedFacts {
  /** It does not run any more, or nobody defines it. */
  readonly gone: boolean
  /** A control plane has spoken, now or before a restart. */
  readonly modelKnown: boolean
  /** `enrolled` of the compiled workload; undefined where the model lacks it. */
  readonly enrolled: boolean | undefined
  /** The control plane said that it does not accept the report of this workload. */
  readonly refused: boolean
  /** How long the model has lacked it. */
  readonly absentMs: number
  readonly absenceGraceMs: number
}

/**
 * A workload that drops out of the model is not let go at once: a control plane that starts anew sends its model
 * before it has heard of this host's workloads, and letting go means plaintext.
 */
export function wantedOf(facts: WantedFacts): Wanted {
  if (facts.gone) return 'no'
  if (facts.enrolled !== undefined) return facts.enrolled ? 'yes' : 'no'
  if (facts.refused) return 'no'
  if (!facts.modelKnown) return 'unknown'
  return facts.absentMs < facts.absenceGraceMs ? 'unknown' : 'no'
}

export interface PlanFacts {
  readonly wanted: Wanted
  readonly serving: Serving
  /** How peers reach it by the model that this host holds; undefined where the model lacks it. */
  readonly protocol: WorkloadProtocol | undefined
  /** Whether news of the model can arrive. */
  readonly connected: boolean
  readonly now: number
  /** When the redirection is to be checked again. */
  readonly verifyAt: number
}

export type Action =
  | { readonly kind: 'rest'; readonly until: number | undefined }
  | { readonly kind: 'offer' }
  | { readonly kind: 'serve' }
  | { readonly kind: 'install' }
  | { readonly kind: 'verify' }
  | { readonly kind: 'release' }
  | { readonly kind: 'recapture' }
  | { readonly kind: 'undivert' }
  | { readonly kind: 'redivert' }
  | { readonly kind: 'withdraw' }
  | { readonly kind: 'look' }
  | { readonly kind: 'restore' }

export function nextAction(state: Enrolment, facts: PlanFacts): Action {
  switch (state.kind) {
    case 'plain':
      return facts.wanted === 'yes' ? { kind: 'offer' } : rest
    case 'offered':
      if (facts.wanted === 'no') return { kind: 'withdraw' }
      if (facts.serving === 'served') return { kind: 'install' }
      return facts.serving === 'unserved' ? { kind: 'serve' } : rest
    case 'redirecting':
      if (facts.wanted === 'no') return { kind: 'undivert' }
      if (facts.serving === 'served') return { kind: 'install' }
      return facts.serving === 'unserved' ? { kind: 'serve' } : rest
    case 'captured':
      if (facts.wanted === 'no') return { kind: 'release' }
      if (facts.serving === 'unserved') return { kind: 'serve' }
      return facts.now >= facts.verifyAt ? { kind: 'verify' } : { kind: 'rest', until: facts.verifyAt }
    case 'releasing':
      if (facts.wanted === 'yes') return { kind: 'recapture' }
      return peersMayTunnel(facts, state.until) ? { kind: 'rest', until: state.until } : { kind: 'undivert' }
    case 'undiverting':
      return { kind: 'undivert' }
    case 'lingering':
      if (facts.wanted === 'yes') return { kind: 'redivert' }
      return facts.now < state.until ? { kind: 'rest', until: state.until } : { kind: 'withdraw' }
    case 'withdrawing':
      return { kind: 'withdraw' }
    case 'draining':
      if (facts.wanted === 'yes') return { kind: 'offer' }
      return facts.now < state.lookAt ? { kind: 'rest', until: state.lookAt } : { kind: 'look' }
    case 'restoring':
      return { kind: 'restore' }
  }
}

const rest: Action = { kind: 'rest', until: undefined }

function peersMayTunnel(facts: PlanFacts, until: number): boolean {
  return facts.protocol === 'HBONE' && facts.connected && facts.now < until
}
