// What the agent counts for /metrics. Values are read when they are asked for. Used by app.ts.
import { MetricSet, type MetricSnapshot } from '../core/base/metrics.ts'

export interface AgentFacts {
  /** Workloads by enrolment state. */
  readonly states: ReadonlyMap<string, number>
  readonly uncapturedConnections: number
  readonly daemons: number
  readonly connected: boolean
  readonly modelVersion: number
  readonly certificateNotAfterMs: number
}

const states = ['plain', 'offered', 'redirecting', 'captured', 'releasing', 'restoring', 'withdrawing'] as const

export class AgentMetrics {
  readonly #set = new MetricSet()
  readonly #workloads = this.#set.gauge('culvert_agent_workloads', 'Local workloads by enrolment state', ['state'])
  readonly #values = this.#set.gauge('culvert_agent_uncaptured_connections', 'Connections from before the capture', [])
  readonly #daemons = this.#set.gauge('culvert_agent_daemons', 'Daemons connected to the handoff socket', [])
  readonly #connected = this.#set.gauge('culvert_agent_feed_connected', '1 while the control plane is connected', [])
  readonly #version = this.#set.gauge('culvert_agent_model_version', 'Version of the compiled model held', [])
  readonly #expiry = this.#set.gauge(
    'culvert_agent_certificate_expiry_timestamp_seconds',
    'End of validity of the host certificate',
    [],
  )

  snapshot(facts: AgentFacts): MetricSnapshot {
    for (const state of states) this.#workloads.labels([state]).set(facts.states.get(state) ?? 0)
    this.#values.labels([]).set(facts.uncapturedConnections)
    this.#daemons.labels([]).set(facts.daemons)
    this.#connected.labels([]).set(facts.connected ? 1 : 0)
    this.#version.labels([]).set(facts.modelVersion)
    this.#expiry.labels([]).set(facts.certificateNotAfterMs / 1000)
    return this.#set.snapshot()
  }
}
