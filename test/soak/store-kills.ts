// `npm run soak -- store-kills [KILLS]`: 200 kills during writes on SQLite, 200 on a three-member etcd; no acknowledged write may be lost.
import { argument, soak } from '../helpers/soak.ts'
import { killEtcd, killSqliteWriters } from '../helpers/store-kills.ts'

await soak('store-kills', async () => {
  const kills = argument(0, 200)
  const runs = [await killSqliteWriters(kills), await killEtcd(kills)]
  return {
    figures: { runs },
    problems: runs.flatMap(({ store, problems }) => problems.map((text) => `${store}: ${text}`)),
  }
})
