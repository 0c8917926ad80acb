// Fifty writers at once, each with something of its own to add, through two replicas on one store: nothing is lost, whatever the type
// of the patch.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openEtcdStore } from '../../control/store/etcd.ts'
import { openSqliteStore } from '../../control/store/sqlite.ts'
import type { Store } from '../../control/store/store.ts'
import { type Answer, type ApiWorld, apiWorld, isStatus, service, services } from '../helpers/api-world.ts'
import { EtcdCluster } from '../helpers/etcd.ts'

const writers = 50
const web = `${services}/web`

interface Writing {
  readonly type: string
  /** The body of one writer, and where its trace is found. */
  body(writer: string): unknown
}

const writings: readonly Writing[] = [
  { type: 'merge-patch+json', body: (writer) => ({ metadata: { labels: { [writer]: 'x' } } }) },
  { type: 'strategic-merge-patch+json', body: (writer) => ({ metadata: { labels: { [writer]: 'x' } } }) },
  { type: 'json-patch+json', body: (writer) => [{ op: 'add', path: `/metadata/labels/${writer}`, value: 'x' }] },
  {
    type: 'apply-patch+yaml',
    body: (writer) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', labels: { [writer]: 'x' } },
    }),
  },
]

const names = Array.from({ length: writers }, (_, index) => `writer-${index}`)

function labelsOf({ body }: Answer): readonly string[] {
  return Object.keys((body.metadata?.['labels'] ?? {}) as object).filter((name) => name.startsWith('writer-'))
}

async function manyWriters(t: Test, store: Store): Promise<void> {
  const replicas: readonly [ApiWorld, ApiWorld] = [await apiWorld(t, { store }), await apiWorld(t, { store })]
  const [first] = replicas
  for (const { type, body } of writings) {
    await first.call('DELETE', web)
    const base = { ...service('web'), metadata: { name: 'web', labels: { base: 'x' } } }
    await first.call('POST', services, { body: base })
    const answers = await Promise.all(
      names.map((writer, index) =>
        replicas[index % 2]!.call('PATCH', `${web}?fieldManager=${writer}`, {
          body: body(writer),
          headers: { 'content-type': `application/${type}` },
        }),
      ),
    )
    t.strictSame(new Set(answers.map(({ status, text }) => (status === 200 ? 200 : text))), new Set([200]), type)
    t.strictSame(labelsOf(await first.call('GET', web)).toSorted(), names.toSorted(), `${type}: nothing is lost`)
  }
  await conditional(t, replicas)
}

/** Who names the revision that it saw is told when it has gone; of all that saw the same one wins. */
async function conditional(t: Test, replicas: readonly ApiWorld[]): Promise<void> {
  const { body } = await replicas[0]!.call('GET', web)
  const labels = body.metadata?.['labels'] as object
  const put = (writer: string, index: number) =>
    replicas[index % 2]!.call('PUT', web, {
      body: { ...body, metadata: { ...body.metadata, labels: { ...labels, [writer]: 'y' } } },
    })
  const answers = await Promise.all(names.map(put))
  const lost = answers.filter(({ status }) => status !== 200)
  t.equal(lost.length, writers - 1)
  const text =
    /^Operation cannot be fulfilled on services "web": the object has been modified; please apply your changes/
  for (const answer of lost.slice(0, 5)) isStatus(t, answer, 409, 'Conflict', text)
}

t.test('nothing is lost on SQLite', async (t) => {
  const store = await openSqliteStore(join(t.testdir(), 'shared.db'))
  t.teardown(() => store.close())
  await manyWriters(t, store)
})

t.test('nothing is lost on etcd', async (t) => {
  const cluster = await EtcdCluster.start()
  const store = await openEtcdStore({ endpoints: cluster.endpoints, prefix: '/writers/' })
  t.teardown(async () => {
    await store.close()
    await cluster.close()
  })
  await manyWriters(t, store)
})
