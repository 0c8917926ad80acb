// What is measured of a proxy in the waypoint's place: small and large answers over HTTP/1.1 and HTTP/2, and gRPC methods.
import type { Sample } from '../results.ts'
import type { Runnable } from '../runner.ts'
import type { RunSettings } from '../scenarios/scenario.ts'
import { requestsPerSecond } from '../wrk.ts'
import type { Latencies, Target } from './target.ts'

type Scenario = Runnable<Target>
type Way = (
  target: Target,
  seconds: number,
) => Promise<{ readonly requests: number; readonly rate: number } & Latencies>

function scenario(name: string, group: string, quick: boolean, way: Way): Scenario {
  return {
    name,
    group,
    quick,
    uncaptured: false,
    how: 'rounds',
    leadIn: 1,
    async *run(target: Target, settings: RunSettings) {
      const before = target.cpu()
      const report = await way(target, Math.max(1, Math.round(settings.seconds)))
      const after = target.cpu()
      yield { metric: 'rate', value: report.rate, unit: 'requests/s', better: 'higher' }
      yield* latencies(report)
      yield {
        metric: 'cpu-all',
        value: (after.all - before.all) / report.requests,
        unit: 'µs/request',
        better: 'lower',
      }
      if (after.proxy === undefined || before.proxy === undefined) return
      const value = (after.proxy - before.proxy) / report.requests
      yield { metric: 'cpu-proxy', value, unit: 'µs/request', better: 'lower' }
    },
  }
}

function latencies({ p50Us, p99Us }: Latencies): readonly Sample[] {
  return [
    { metric: 'p50', value: p50Us, unit: 'µs', better: 'lower' },
    { metric: 'p99', value: p99Us, unit: 'µs', better: 'lower' },
  ]
}

function http1(path: string, connections: number): Way {
  return async (target, seconds) => {
    const report = await target.wrk({ path, connections, seconds })
    return { ...report, rate: requestsPerSecond(report) }
  }
}

/** Eight connections: that many clients share one of them with a few others. */
function http2(
  path: string,
  streams: number,
  extra: { readonly body?: string; readonly headers?: readonly string[] } = {},
): Way {
  return async (target, seconds) => {
    const body = extra.body === undefined ? {} : { body: `${target.folder}/bodies/${extra.body}` }
    const report = await target.h2load({
      path,
      connections: 8,
      streams,
      seconds,
      headers: extra.headers ?? [],
      ...body,
    })
    return { ...report, rate: report.requests / report.seconds }
  }
}

const grpc = { body: 'message', headers: ['content-type: application/grpc', 'te: trailers'] }

export const scenarios: readonly Scenario[] = [
  scenario('http1-1k-1', 'http1', false, http1('/1k', 1)),
  scenario('http1-1k-32', 'http1', true, http1('/1k', 32)),
  scenario('http1-1k-128', 'http1', true, http1('/1k', 128)),
  scenario('http1-64k-32', 'http1', false, http1('/64k', 32)),
  scenario('http2-1k-8x4', 'http2', true, http2('/1k', 4)),
  scenario('http2-64k-8x4', 'http2', false, http2('/64k', 4)),
  scenario('grpc-unary-8x4', 'grpc', true, http2('/grpc/unary', 4, grpc)),
  // A thousand messages in each call.
  scenario('grpc-server-stream-8x4', 'grpc', false, http2('/grpc/stream', 4, grpc)),
]
