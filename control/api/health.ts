// `/livez`, `/readyz` and `/healthz`, whole or check by check, as Kubernetes answers them (`?verbose`, `?exclude=`). Open to
// anybody: they tell nothing of the mesh.
import type { ApiAnswer } from './request.ts'

export interface HealthCheck {
  readonly name: string
  /** What is wrong; undefined where nothing is. */
  readonly problem: () => string | undefined
}

export interface HealthChecks {
  readonly live: readonly HealthCheck[]
  readonly ready: readonly HealthCheck[]
}

export interface HealthFacts {
  /** Why the control plane is not ready. */
  readonly notReady: () => string | undefined
  /** Why nothing can be written or read. */
  readonly storeTrouble?: (() => string | undefined) | undefined
  readonly closing: AbortSignal
}

/** The checks of the API server. */
export function healthChecks({ notReady, storeTrouble, closing }: HealthFacts): HealthChecks {
  const ping = { name: 'ping', problem: () => undefined }
  const state = { name: 'first-state', problem: notReady }
  const shutdown = { name: 'shutdown', problem: () => (closing.aborted ? 'the server is shutting down' : undefined) }
  const store = { name: 'store', problem: () => storeTrouble?.() }
  return { live: [ping], ready: [ping, store, state, shutdown] }
}

/** The answer of a health path; undefined for any other. */
export function answerHealth(checks: HealthChecks, url: URL): ApiAnswer | undefined {
  const [, endpoint = '', check, more] = url.pathname.replace(/\/$/, '').split('/')
  const all = endpoint === 'readyz' ? checks.ready : checks.live
  if (!['livez', 'readyz', 'healthz'].includes(endpoint) || more !== undefined) return undefined
  if (check !== undefined) {
    const found = all.find(({ name }) => name === check)
    return found === undefined ? undefined : single(found)
  }
  const excluded = url.searchParams.getAll('exclude')
  const results = all.map(({ name, problem }) => ({
    name,
    excluded: excluded.includes(name),
    wrong: excluded.includes(name) ? undefined : problem(),
  }))
  const failed = results.filter(({ wrong }) => wrong !== undefined)
  if (failed.length === 0 && !url.searchParams.has('verbose')) return text(200, 'ok')
  const lines = results.map(({ name, excluded: left, wrong }) => {
    if (left) return `[+]${name} excluded: ok`
    return wrong === undefined ? `[+]${name} ok` : `[-]${name} failed: ${wrong}`
  })
  const verdict = failed.length === 0 ? 'passed' : 'failed'
  return text(failed.length === 0 ? 200 : 503, `${lines.join('\n')}\n${endpoint} check ${verdict}\n`)
}

function single({ problem }: HealthCheck): ApiAnswer {
  const wrong = problem()
  return wrong === undefined ? text(200, 'ok') : text(503, wrong)
}

function text(status: number, body: string): ApiAnswer {
  return { status, body, type: 'text/plain; charset=utf-8' }
}
