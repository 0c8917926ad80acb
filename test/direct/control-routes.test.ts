// Routes from the store to status, over the API of a control plane: who is told what, as objects come, change and go.
import t from 'tap'
import type { Condition } from '../../core/model/resource.ts'
import { api, directory, start, until } from '../helpers/control-world.ts'

const gateway = '/apis/gateway.networking.k8s.io/v1/namespaces/shop'
const istio = '/apis/networking.istio.io/v1/namespaces/shop'

interface Route {
  readonly status?: { readonly parents?: readonly { readonly conditions: readonly Condition[] }[] }
}

const shown = (conditions: readonly Condition[]): readonly string[] =>
  conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`).sort()

t.test('each parent of a route is told what holds there, in the light of what else there is', async (t) => {
  const stateDir = await directory(t)
  await start(t, stateDir)
  const create = async (path: string, apiVersion: string, kind: string, name: string, spec: object) => {
    const object = { apiVersion, kind, metadata: { name, namespace: 'shop' }, spec }
    const { status, body } = await api(stateDir, 'POST', path, object)
    if (status !== 201) throw new Error(`${kind} ${name}: ${status} ${JSON.stringify(body)}`)
  }
  const service = (name: string) =>
    create('/api/v1/namespaces/shop/services', 'v1', 'Service', name, { ports: [{ name: 'http', port: 80 }] })
  const parent = (name: string) => ({ group: '', kind: 'Service', name })
  const rules = (name: string) => [{ backendRefs: [{ name, port: 80 }] }]
  const route = (kind: string, name: string, parents: readonly object[], backend = 'orders') =>
    create(`${gateway}/${kind.toLowerCase()}s`, 'gateway.networking.k8s.io/v1', kind, name, {
      parentRefs: parents,
      rules: rules(backend),
    })
  const parentsOf = async (path: string): Promise<readonly (readonly string[])[]> => {
    const { body } = await api(stateDir, 'GET', path)
    return ((body as Route).status?.parents ?? []).map(({ conditions }) => shown(conditions))
  }
  const told = (path: string, wanted: readonly (readonly string[])[]) =>
    until(`${path} ${JSON.stringify(wanted)}`, async () => {
      const found = await parentsOf(path)
      return JSON.stringify(found) === JSON.stringify(wanted)
    })

  const shop = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }
  await api(stateDir, 'POST', '/api/v1/namespaces', shop)
  await service('orders')
  await route('HTTPRoute', 'web', [parent('orders'), parent('gone')])
  const bare = ['Accepted=True Accepted', 'Programmed=False NoWaypoint', 'ResolvedRefs=True ResolvedRefs']
  const nowhere = ['Accepted=False NoMatchingParent', 'Programmed=False Invalid']
  const broken = 'ResolvedRefs=False'
  const web = `${gateway}/httproutes/web`
  await until('both parents', async () => {
    const [first = [], second = []] = await parentsOf(web)
    return first.includes('Programmed=False NoWaypoint') && second.includes('Accepted=False NoMatchingParent')
  })
  await service('gone')
  await told(web, [bare, bare])

  await route('GRPCRoute', 'calls', [parent('orders')])
  const lost = ['Accepted=False Conflicted', 'Programmed=False Invalid', 'ResolvedRefs=True ResolvedRefs']
  await told(web, [lost, bare])
  await told(`${gateway}/grpcroutes/calls`, [bare])
  await api(stateDir, 'DELETE', `${gateway}/grpcroutes/calls`)
  await told(web, [bare, bare])

  await api(stateDir, 'DELETE', '/api/v1/namespaces/shop/services/gone')
  await until('the parent that went', async () => {
    const [first = [], second = []] = await parentsOf(web)
    return first.includes('Accepted=True Accepted') && nowhere.every((each) => second.includes(each))
  })
  await route('HTTPRoute', 'lost', [parent('orders')], 'nobody')
  await until('the backend that is not there', async () => {
    const [only = []] = await parentsOf(`${gateway}/httproutes/lost`)
    return only.includes(`${broken} BackendNotFound`) && only.includes('Accepted=True Accepted')
  })

  await create(`${istio}/virtualservices`, 'networking.istio.io/v1', 'VirtualService', 'orders', {
    hosts: ['orders'],
    http: [{ route: [{ destination: { host: 'orders' } }] }],
  })
  const virtual = `${istio}/virtualservices/orders`
  const conditionsOf = async (): Promise<readonly string[]> => {
    const { body } = await api(stateDir, 'GET', virtual)
    return shown((body as { status?: { conditions?: Condition[] } }).status?.conditions ?? [])
  }
  await until('the VirtualService loses', async () => (await conditionsOf()).includes('Accepted=False Conflicted'))
  for (const name of ['web', 'lost']) await api(stateDir, 'DELETE', `${gateway}/httproutes/${name}`)
  await until('the VirtualService has the port', async () => {
    const found = await conditionsOf()
    return JSON.stringify(found) === JSON.stringify(bare)
  })
})
