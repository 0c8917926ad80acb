// Short connections as fast as they go: connect, say a few bytes, read the answer, close first. Started by main.ts in a workload.
import { connect } from 'node:net'

export interface ShortPlan {
  readonly host: string
  readonly port: number
  readonly durationMs: number
  /** Callers at the same time; each opens the next connection when its last one is closed. */
  readonly concurrency: number
}

export interface ShortReport {
  readonly connections: number
  readonly failed: number
  readonly failures: Readonly<Record<string, number>>
  readonly durationMs: number
  readonly perSecond: number
  /** Of each whole second: a stall would show here. */
  readonly everySecond: readonly number[]
}

const question = Buffer.from('a few bytes')

/** One connection from connect to close; resolves to why it failed, undefined where it did not. */
export function one(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answered = 0
    let failure: string | undefined
    const socket = connect({ host, port, noDelay: true })
    socket.setTimeout(10_000, () => {
      failure ??= 'no answer'
      socket.destroy()
    })
    socket.on('data', (chunk: Buffer) => {
      answered += chunk.length
      if (answered === question.length) socket.end()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure ??= error.code ?? error.message
    })
    socket.on('close', () => resolve(failure ?? (answered === question.length ? undefined : 'no answer')))
    socket.write(question)
  })
}

export async function runShort(plan: ShortPlan): Promise<ShortReport> {
  const begin = performance.now()
  const end = begin + plan.durationMs
  const failures: Record<string, number> = {}
  const seconds: number[] = []
  let connections = 0
  let failed = 0
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      const failure = await one(plan.host, plan.port)
      connections++
      const second = Math.floor((performance.now() - begin) / 1_000)
      seconds[second] = (seconds[second] ?? 0) + 1
      if (failure === undefined) continue
      failed++
      failures[failure] = (failures[failure] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: plan.concurrency }, caller))
  const durationMs = performance.now() - begin
  const whole = Array.from({ length: Math.floor(plan.durationMs / 1_000) }, (_, second) => seconds[second] ?? 0)
  return {
    connections,
    failed,
    failures,
    durationMs: Math.round(durationMs),
    perSecond: Math.round((connections / durationMs) * 1_000),
    everySecond: whole,
  }
}
