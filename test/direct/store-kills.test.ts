// What was acknowledged survives kill -9, of the writer and of etcd. `npm run soak -- store-kills` does the same for longer.
import t from 'tap'
import { killEtcd, killSqliteWriters } from '../helpers/store-kills.ts'

for (const run of [killSqliteWriters, killEtcd]) {
  t.test(
    `ten kills lose no acknowledged write and leave no half of one: ${run.name}`,
    { timeout: 110_000 },
    async (t) => {
      const { problems, acknowledged, kills } = await run(10)
      t.strictSame(problems, [])
      t.equal(kills, 10)
      t.ok(acknowledged > 200, `${acknowledged} acknowledged`)
    },
  )
}
