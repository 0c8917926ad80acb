// The official client of Kubernetes for Node, unmodified, drives the API: typed and untyped objects, parts of lists, patches,
// conflicts, watches and informers.
import {
  ApiException,
  AuthorizationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  type KubernetesListObject,
  type KubernetesObject,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  VersionApi,
  Watch,
} from '@kubernetes/client-node'
import t from 'tap'
import { renderKubeconfig } from '../../control/kubeconfig.ts'
import { directory, start, type Test, until } from '../helpers/control-world.ts'

async function configured(t: Test): Promise<KubeConfig> {
  const stateDir = await directory(t)
  await start(t, stateDir)
  const config = new KubeConfig()
  config.loadFromString(await renderKubeconfig(stateDir))
  return config
}

const namespace = 'default'
const spec = { selector: { app: 'orders' }, ports: [{ name: 'http', port: 80 }] }

type Policy = KubernetesObject & { spec?: { mtls?: { mode?: string } } }

const policy = (name: string): Policy => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name, namespace },
  spec: { mtls: { mode: 'STRICT' } },
})

async function codeOf(promise: Promise<unknown>): Promise<number | undefined> {
  try {
    await promise
    return undefined
  } catch (error: unknown) {
    if (error instanceof ApiException) return error.code
    throw error
  }
}

/** Arguments that are left out in the middle. */
const none2 = [undefined, undefined] as const
const none4 = [...none2, ...none2] as const

interface List extends Pick<KubernetesListObject<KubernetesObject>, 'items'> {
  readonly metadata: { readonly continue?: string }
}

const namesOf = ({ items }: Pick<List, 'items'>) => items.map(({ metadata }) => metadata?.name)

t.test('core objects are driven with their types', async (t) => {
  const api = (await configured(t)).makeApiClient(CoreV1Api)
  await api.createNamespace({ body: { metadata: { name: 'shop' } } })
  t.ok((await api.listNamespace()).items.some(({ metadata }) => metadata?.name === 'shop'))
  const body = { metadata: { name: 'orders' }, spec }
  const created = await api.createNamespacedService({ namespace: 'shop', body })
  t.match(created.spec?.clusterIP, /^240\.240\./)
  t.ok(created.metadata?.creationTimestamp instanceof Date)
  created.spec!.ports![0]!.port = 81
  const replaced = await api.replaceNamespacedService({ namespace: 'shop', name: 'orders', body: created })
  t.equal(replaced.spec?.ports?.[0]?.port, 81)
  const stale = api.replaceNamespacedService({ namespace: 'shop', name: 'orders', body: created })
  t.equal(await codeOf(stale), 409, 'a revision that is not the last is a conflict')
  t.equal(await codeOf(api.createNamespacedService({ namespace: 'shop', body })), 409)
  t.equal(await codeOf(api.createNamespacedService({ namespace: 'nowhere', body })), 404)
  const wrong = { metadata: { name: 'x' }, spec: { ports: [{ port: 99_999 }] } }
  t.equal(await codeOf(api.createNamespacedService({ namespace: 'shop', body: wrong })), 422)
  await api.deleteNamespacedService({ namespace: 'shop', name: 'orders' })
  t.equal(await codeOf(api.readNamespacedService({ namespace: 'shop', name: 'orders' })), 404)
  await api.deleteNamespace({ name: 'shop' })
  await until('the namespace is gone', async () => (await codeOf(api.readNamespace({ name: 'shop' }))) === 404)
})

t.test('objects without types are found by discovery, listed in parts and patched', async (t) => {
  const config = await configured(t)
  const api = KubernetesObjectApi.makeApiClient(config)
  for (const name of ['a', 'b', 'c']) await api.create(policy(name))
  const listed = await api.list('security.istio.io/v1', 'PeerAuthentication', namespace)
  t.strictSame(namesOf(listed), ['a', 'b', 'c'])
  const custom = config.makeApiClient(CustomObjectsApi)
  const kind = { group: 'security.istio.io', version: 'v1', namespace, plural: 'peerauthentications' }
  const first = (await custom.listNamespacedCustomObject({ ...kind, limit: 2 })) as List
  t.strictSame(namesOf(first), ['a', 'b'])
  const rest = await custom.listNamespacedCustomObject({ ...kind, limit: 2, _continue: first.metadata.continue! })
  t.strictSame(namesOf(rest as List), ['c'])
  const merged = { ...policy('a'), spec: { mtls: { mode: 'PERMISSIVE' } } }
  const patched = await api.patch(merged, ...none4, PatchStrategy.MergePatch)
  t.equal((patched as Policy).spec?.mtls?.mode, 'PERMISSIVE')
  const dry = await api.patch(policy('a'), undefined, 'All', ...none2, PatchStrategy.MergePatch)
  t.equal((dry as Policy).spec?.mtls?.mode, 'STRICT')
  const read = await api.read({ ...policy('a'), metadata: { name: 'a', namespace } })
  t.equal((read as Policy).spec?.mtls?.mode, 'PERMISSIVE', 'a dry run changes nothing')
  t.equal((await api.delete(policy('a'))).status, 'Success')
  t.equal(await codeOf(api.delete(policy('a'))), 404)
})

t.test('custom objects, the version and what a caller may do', async (t) => {
  const config = await configured(t)
  const custom = config.makeApiClient(CustomObjectsApi)
  const at = { group: 'security.istio.io', version: 'v1', namespace, plural: 'peerauthentications' }
  await custom.createNamespacedCustomObject({ ...at, body: policy('a') })
  t.match(await custom.listNamespacedCustomObject(at), { items: [{ metadata: { name: 'a' } }] })
  t.match(await custom.listClusterCustomObject(at), { kind: 'PeerAuthenticationList' })
  t.match(await config.makeApiClient(VersionApi).getCode(), { major: '1' })
  const body = { spec: { resourceAttributes: { verb: 'delete', resource: 'services' } } }
  const review = await config.makeApiClient(AuthorizationV1Api).createSelfSubjectAccessReview({ body })
  t.equal(review.status?.allowed, true)
})

t.test('a watch tells what changes', async (t) => {
  const config = await configured(t)
  const api = KubernetesObjectApi.makeApiClient(config)
  const seen: string[] = []
  const path = `/apis/security.istio.io/v1/namespaces/${namespace}/peerauthentications`
  const collect = (phase: string, object: Policy): void => {
    if (phase !== 'BOOKMARK') seen.push(`${phase} ${object.metadata?.name}`)
  }
  const end = { ended: false }
  const watch = await new Watch(config).watch(path, { allowWatchBookmarks: true }, collect, () => {
    end.ended = true
  })
  await api.create(policy('a'))
  await api.patch({ ...policy('a'), spec: { mtls: { mode: 'PERMISSIVE' } } }, ...none4, PatchStrategy.MergePatch)
  await until('two events', () => seen.length >= 2)
  await api.delete(policy('a'))
  await until('the deletion', () => seen.at(-1) === 'DELETED a')
  t.strictSame([...new Set(seen)], ['ADDED a', 'MODIFIED a', 'DELETED a'])
  watch.abort()
  await until('the end of the watch', () => end.ended)
})

t.test('an informer keeps a copy of what is there', async (t) => {
  const config = await configured(t)
  const api = config.makeApiClient(CoreV1Api)
  const service = (name: string) => ({ namespace, body: { metadata: { name }, spec } })
  await api.createNamespacedService(service('before'))
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/services`, () =>
    api.listNamespacedService({ namespace }),
  )
  t.teardown(() => informer.stop())
  await informer.start()
  const names = () => informer.list(namespace).map(({ metadata }) => metadata?.name)
  await until('what was there', () => names().includes('before'))
  await api.createNamespacedService(service('later'))
  await until('what came', () => names().includes('later'))
  await api.deleteNamespacedService({ namespace, name: 'before' })
  await until('what went', () => !names().includes('before'))
  t.strictSame(names(), ['later'])
})
