// Runs a batch of calls: one after the other or some at once, repeated ones over kept connections. Never rejects for a call that
// fails: that is what it reports.
import { Agent } from 'node:http'
import { type Answered, type Call, type CallResult, type Counted, countedAs, type Failed } from './call.ts'
import { callHttp1, callWebSocket } from './http1.ts'
import { callHttp2, Sessions } from './http2.ts'

/** @param concurrency calls at once; results are in the order of the calls */
export async function runCalls(calls: readonly Call[], concurrency = 1): Promise<readonly CallResult[]> {
  const results: CallResult[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < calls.length; index = next++) results[index] = await runCall(calls[index]!)
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, calls.length) }, worker))
  return results
}

async function runCall(call: Call): Promise<CallResult> {
  const { repeat, concurrency = 10 } = call
  const agent = new Agent({ keepAlive: repeat !== undefined, maxSockets: repeat === undefined ? 1 : concurrency })
  const sessions = new Sessions()
  try {
    if (repeat === undefined) return await once(call, agent, sessions)
    return await repeated(repeat, concurrency, () => once(call, agent, sessions))
  } finally {
    agent.destroy()
    sessions.close()
  }
}

function once(call: Call, agent: Agent, sessions: Sessions): Promise<Answered | Failed> {
  switch (call.protocol) {
    case 'h2c':
    case 'grpc':
      return callHttp2(call, sessions)
    case 'websocket':
      return callWebSocket(call)
    default:
      return callHttp1(call, agent)
  }
}

async function repeated(times: number, concurrency: number, one: () => Promise<Answered | Failed>): Promise<Counted> {
  const begin = performance.now()
  const counts: Record<string, number> = {}
  let started = 0
  const worker = async (): Promise<void> => {
    while (started++ < times) {
      const key = countedAs(await one())
      counts[key] = (counts[key] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, times) }, worker))
  return { kind: 'counted', counts, totalMs: performance.now() - begin }
}
