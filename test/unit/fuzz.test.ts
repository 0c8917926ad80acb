// Every fuzz target for a moment, with seeds that never change; `npm run fuzz` runs them for long with others.
import t from 'tap'
import { http2Targets } from '../fuzz/targets-http2.ts'
import { meshTargets } from '../fuzz/targets-mesh.ts'

for (const { name, slow, run } of [...http2Targets, ...meshTargets]) {
  t.test(`whatever comes, ${name} neither throws nor breaks its promises`, async (t) => {
    t.equal(await run({ seed: 2026, count: slow ? 40 : 400 }), undefined)
  })
}
