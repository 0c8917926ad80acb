// `node lab/calls/main.ts`: reads `{calls, concurrency}` (JSON) from standard input, makes the calls and prints the results (JSON).
import { text } from 'node:stream/consumers'
import type { Call } from './call.ts'
import { runCalls } from './run.ts'

const { calls, concurrency } = JSON.parse(await text(process.stdin)) as {
  readonly calls: readonly Call[]
  readonly concurrency?: number
}
process.stdout.write(`${JSON.stringify(await runCalls(calls, concurrency))}\n`)
