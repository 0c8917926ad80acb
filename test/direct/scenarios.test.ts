// The connection scenarios in process: real TLS, HTTP/2, compile step and data planes, capture played. Every connection is
// explained, too.
import t from 'tap'
import { directWorld } from '../helpers/direct-world.ts'
import { ExplainedWorld } from '../helpers/explained-world.ts'
import { scenarios } from '../helpers/scenario-table.ts'

t.test('connection scenarios, in process', async (t) => {
  const world = new ExplainedWorld(await directWorld())
  t.teardown(() => world.close())
  for (const scenario of scenarios) await t.test(scenario.name, (t) => world.run(t, scenario))
  t.ok(world.comparisons >= 100, `explain was held against what happened ${world.comparisons} times`)
})
