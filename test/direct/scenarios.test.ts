// The connection scenarios in process: real TLS, HTTP/2, compile step and data planes, capture played.
import t from 'tap'
import { directWorld } from '../helpers/direct-world.ts'
import { scenarios } from '../helpers/scenario-table.ts'

t.test('connection scenarios, in process', async (t) => {
  const world = await directWorld()
  t.teardown(() => world.close())
  for (const { name, run } of scenarios) await t.test(name, (t) => run(t, world))
})
