// The Gateway API's kinds behind the API: what the server fills in, shows and refuses.
import t from 'tap'
import { gatewayKind } from '../../core/model/kinds/gateway.ts'
import { apiWorld, isStatus } from '../helpers/api-world.ts'

const at = (version: string, plural: string, namespace?: string) =>
  `/apis/gateway.networking.k8s.io/${version}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`

const asTable = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }

t.test('a route is stored with its defaults, and read so in every version', async (t) => {
  const { call } = await apiWorld(t)
  const spec = { parentRefs: [{ name: 'gw' }], rules: [{ backendRefs: [{ name: 'a', port: 80 }] }] }
  const created = await call('POST', at('v1', 'httproutes', 'shop'), { body: { metadata: { name: 'r' }, spec } })
  t.equal(created.status, 201, created.text)
  const filled = {
    parentRefs: [{ name: 'gw', group: 'gateway.networking.k8s.io', kind: 'Gateway' }],
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: '/' } }],
        backendRefs: [{ name: 'a', port: 80, group: '', kind: 'Service', weight: 1 }],
      },
    ],
  }
  t.strictSame(created.body['spec'], filled)
  const older = await call('GET', `${at('v1beta1', 'httproutes', 'shop')}/r`)
  t.match(older.body, { apiVersion: 'gateway.networking.k8s.io/v1beta1', spec: filled })
  const patch = { body: { spec: { hostnames: ['a.example.com'], rules: null } } }
  const headers = { 'content-type': 'application/merge-patch+json' }
  const patched = await call('PATCH', `${at('v1', 'httproutes', 'shop')}/r`, { ...patch, headers })
  t.match(
    patched.body['spec'],
    { rules: [{ matches: filled.rules[0]!.matches }] },
    'a removed field has its default again',
  )
  const same = await call('PUT', `${at('v1', 'httproutes', 'shop')}/r`, {
    body: { metadata: { name: 'r' }, spec: { hostnames: ['a.example.com'], parentRefs: spec.parentRefs } },
  })
  t.equal(same.body.metadata?.['resourceVersion'], patched.body.metadata?.['resourceVersion'], 'nothing was written')
})

t.test('a route of an older version may have what newer ones lack', async (t) => {
  const { call } = await apiWorld(t)
  const rules = [{ backendRefs: [{ name: 'a', port: 443 }] }, { backendRefs: [{ name: 'b', port: 443 }] }]
  const body = { metadata: { name: 'r' }, spec: { rules } }
  t.match(await call('POST', at('v1', 'tlsroutes', 'shop'), { body }), {
    status: 422,
    body: { message: /spec.hostnames: .*is required/ },
  })
  t.equal((await call('POST', at('v1alpha2', 'tlsroutes', 'shop'), { body })).status, 201)
  t.equal((await call('GET', `${at('v1', 'tlsroutes', 'shop')}/r`)).status, 200)
})

t.test('tables show class, addresses and conditions', async (t) => {
  const { api, call } = await apiWorld(t)
  const listeners = [{ name: 'mesh', port: 15008, protocol: 'HBONE' }]
  const gateway = { metadata: { name: 'gw' }, spec: { gatewayClassName: 'culvert-waypoint', listeners } }
  t.equal((await call('POST', at('v1', 'gateways', 'shop'), { body: gateway })).status, 201)
  const cells = async () => {
    const { body } = await call('GET', at('v1', 'gateways', 'shop'), { headers: asTable })
    return (body['rows'] as { cells: unknown[] }[])[0]!.cells.slice(0, 4)
  }
  t.strictSame(await cells(), ['gw', 'culvert-waypoint', '<none>', 'Unknown'])
  await api.resources.modifyStatus(gatewayKind, 'shop', 'gw', () => ({
    addresses: [{ type: 'IPAddress', value: '10.0.0.1' }, { value: '2001:db8::1' }],
    conditions: [{ type: 'Programmed', status: 'True', reason: 'Programmed', message: '' }],
  }))
  t.strictSame(await cells(), ['gw', 'culvert-waypoint', '10.0.0.1,2001:db8::1', 'True'])
})

t.test('the controller of a class cannot be changed', async (t) => {
  const { call } = await apiWorld(t)
  const withController = (controllerName: string) => ({ metadata: { name: 'c' }, spec: { controllerName } })
  await call('POST', at('v1', 'gatewayclasses'), { body: withController('culvert.dev/controller') })
  const changed = await call('PUT', `${at('v1', 'gatewayclasses')}/c`, { body: withController('example.com/other') })
  isStatus(t, changed, 422, 'Invalid')
  t.match(changed.body['message'], /spec.controllerName: .*is immutable: it is culvert.dev\/controller/)
})
