// What `explain` makes of destinations that are no names of the mesh.
import t from 'tap'
import { explain } from '../../../../core/decide/explain/explain.ts'
import { snapshotOf, workload } from '../../../helpers/model.ts'

const frontend = workload({ name: 'frontend-1', serviceAccount: 'frontend', addresses: ['10.0.0.9'] })
const asked = (destination: string) => explain(snapshotOf(frontend), { source: 'shop/frontend-1', destination })

t.test('a name that reads like a service of a namespace is told to be none', async (t) => {
  for (const name of ['payments.shop:80', 'payments.shop.svc:80']) {
    const { summary, steps } = asked(name)
    t.match(summary, /namespace shop has no service of this name; what the name resolves to is not known here/)
    t.match(steps[1]?.because, /namespace shop has no such service/)
  }
})

t.test('a name outside the mesh is nothing else', async (t) => {
  for (const name of ['api.example.com:443', 'example.dev:443']) t.notMatch(asked(name).summary, /namespace/)
})

t.test('a complete name of the mesh that is not there is not found', async (t) => {
  t.throws(() => asked('payments.shop.svc.cluster.local:80'), { code: 'RESOURCE_NOT_FOUND' })
})

t.test('a misspelt source is told the name that is near, written the same way', async (t) => {
  const from = (source: string) => explain(snapshotOf(frontend), { source, destination: 'shop/frontend-1:80' })
  t.throws(() => from('frontned-1.shop'), { message: /did you mean "frontend-1\.shop"/ })
  t.throws(() => from('shop/frontned-1'), { message: /did you mean "shop\/frontend-1"/ })
  t.throws(() => from('frontned-1'), { message: /did you mean "frontend-1\.shop"/ })
})
