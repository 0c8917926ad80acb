// The connection scenarios in a lab: real namespaces, real capture, real processes. Says how many crossed a real tunnel, and holds
// every connection against what the control plane explains of it.
import { mkdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { ExplainedWorld } from '../helpers/explained-world.ts'
import { netnsWorld } from '../helpers/netns-world.ts'
import { scenarios } from '../helpers/scenario-table.ts'
import { cast } from '../helpers/scenario-world.ts'

const summary = new URL('../../.tap/culvert-scenarios.json', import.meta.url)

t.setTimeout(240_000)

t.test('connection scenarios, in the lab', async (t) => {
  const world = new ExplainedWorld(await netnsWorld('scenarios'))
  t.teardown(() => world.close())
  const total = async (): Promise<number> => {
    let sum = 0
    for (const { namespace, name } of cast.workloads) {
      if (world.has(`${namespace}/${name}`)) sum += await world.tunnelledInto(`${namespace}/${name}`)
    }
    return sum
  }
  let tunnelled = 0
  for (const scenario of scenarios) {
    const before = await total()
    await t.test(scenario.name, { timeout: 60_000 }, (t) => world.run(t, scenario))
    if ((await total()) > before) tunnelled++
  }
  mkdirSync(new URL('.', summary), { recursive: true })
  writeFileSync(summary, JSON.stringify({ ran: scenarios.length, tunnelled, explained: world.comparisons }))
  t.ok(world.comparisons >= 100, `explain was held against what happened ${world.comparisons} times`)
  t.ok(tunnelled >= 15, `${tunnelled} of ${scenarios.length} scenarios crossed a real tunnel`)
})
