// `node test/helpers/traffic/main.ts ROLE PLAN`: one side of the traffic tests as a process of a workload. Prints JSON lines; a
// role that goes on takes orders, one word per line.
import { createInterface } from 'node:readline'
import { type HttpPlan, runHttp } from './http.ts'
import { IdleConnections, type IdlePlan } from './idle.ts'
import { type MixedPlan, runMixed } from './mixed.ts'
import { serve } from './serve.ts'
import { runShort, type ShortPlan } from './short.ts'
import { Steady, type SteadyPlan } from './steady.ts'
import { runHalfClose, runTransfer, type TransferPlan } from './transfer.ts'

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

async function idle(plan: IdlePlan): Promise<void> {
  const connections = new IdleConnections()
  await connections.open(plan)
  say({ closed: connections.closed })
  for await (const order of createInterface({ input: process.stdin })) {
    if (order === 'ask') say({ answering: await connections.answering(), closed: connections.closed })
    if (order === 'close') break
  }
  await connections.close()
  say({ closed: connections.closed })
  process.stdin.destroy()
}

async function steady(plan: SteadyPlan): Promise<void> {
  const load = new Steady(plan)
  say({ begun: true })
  for await (const order of createInterface({ input: process.stdin })) if (order === 'stop') break
  say(await load.stop())
  process.stdin.destroy()
}

const roles: Readonly<Record<string, (plan: unknown) => Promise<void>>> = {
  serve: async () => {
    await serve()
    say({ serving: true })
  },
  short: async (plan) => say(await runShort(plan as ShortPlan)),
  transfer: async (plan) => say(await runTransfer(plan as TransferPlan)),
  'half-close': async (plan) => say(await runHalfClose(plan as TransferPlan)),
  http: async (plan) => say(await runHttp(plan as HttpPlan)),
  mixed: async (plan) => say(await runMixed(plan as MixedPlan)),
  steady: async (plan) => steady(plan as SteadyPlan),
  idle: async (plan) => idle(plan as IdlePlan),
}

const [role = '', plan = '{}'] = process.argv.slice(2)
const run = roles[role]
if (run === undefined) throw new Error(`no role "${role}"`)
await run(JSON.parse(plan))
