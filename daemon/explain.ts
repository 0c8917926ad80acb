// What this daemon would do with a connection: `explain` on the model in force here, with what only the daemon knows. Asked
// through the agent by `culvert explain --live`.
import { explain } from '../core/decide/explain/explain.ts'
import { viewOf } from '../core/decide/explain/live.ts'
import { outboundLimits } from '../core/decide/outbound.ts'
import type { ExplainQuestion, LiveView } from '../core/model/explanation.ts'
import type { DaemonConfig } from './config.ts'
import type { HandoffState } from './handoff-state.ts'

/** Throws RESOURCE_NOT_FOUND and RESOURCE_INVALID as `explain` does. */
export function explainHere(
  state: Pick<HandoffState, 'snapshot' | 'workloads' | 'certificates'>,
  config: Pick<DaemonConfig, 'establishTimeout' | 'connectTimeout'>,
  question: ExplainQuestion,
): LiveView {
  const { establishTimeout: establishTimeoutMs, connectTimeout: connectTimeoutMs } = config
  const limits = { ...outboundLimits, establishTimeoutMs, connectTimeoutMs }
  const explanation = explain(state.snapshot, question, limits)
  const ends = new Map(state.certificates.map(({ identity, notAfter }) => [identity, notAfter]))
  const served = state.workloads.map(({ uid, identity }) => {
    const certificateNotAfterMs = ends.get(identity)
    return [uid, { uid, ...(certificateNotAfterMs === undefined ? {} : { certificateNotAfterMs }) }] as const
  })
  return viewOf(explanation, new Map(served))
}
