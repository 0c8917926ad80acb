// The load generator, one process in each client's namespace: reads plans from standard input, one JSON line each, runs them one
// after the other and answers each with one line. Ends with its input. Started by generator.ts.
import { createInterface } from 'node:readline'
import { runBulk } from './bulk.ts'
import { Held, runChurn } from './connections.ts'
import { runOpenLoop } from './open-loop.ts'
import type { LoadAnswer, LoadPlan, Reports } from './plan.ts'

const held = new Held()

function run(plan: LoadPlan): Promise<Reports[keyof Reports]> {
  switch (plan.kind) {
    case 'bulk':
      return runBulk(plan)
    case 'open-loop':
      return runOpenLoop(plan)
    case 'hold':
      return held.run(plan)
    case 'churn':
      return runChurn(plan)
  }
}

function say(answer: LoadAnswer | { readonly ready: true }): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

say({ ready: true })
for await (const line of createInterface({ input: process.stdin })) {
  try {
    say({ report: await run(JSON.parse(line) as LoadPlan) })
  } catch (error: unknown) {
    say({ error: error instanceof Error ? error.message : String(error) })
  }
}
process.exit(0)
