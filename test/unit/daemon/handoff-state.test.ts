import t from 'tap'
import { nullLogger } from '../../../core/base/log.ts'
import type { LocalWorkload } from '../../../core/feed/handoff.ts'
import type { IssuedCertificate } from '../../../core/identity/certificate.ts'
import type { CompiledDelta, CompiledResource } from '../../../core/model/types.ts'
import { type CertificateKeeper, HandoffState } from '../../../daemon/handoff-state.ts'
import { resourceOf, workload } from '../../helpers/plane-world.ts'

const identityOf = (name: string): string => `spiffe://cluster.local/ns/mesh/sa/${name}`

function local(name: string, change: Partial<LocalWorkload> = {}): LocalWorkload {
  const netns = { path: '/n', inode: 1 }
  const base = { uid: name, namespace: 'mesh', name, identity: identityOf(name), addresses: [], netns, nameservers: [] }
  return { ...base, ...change }
}

function delta(version: number, upserts: readonly CompiledResource[] = [], full = true): CompiledDelta {
  return { epoch: 'e', version, full, upserts, removes: [] }
}

function certificate(name: string): IssuedCertificate {
  return { identity: identityOf(name), keyPem: 'k', chainPem: 'c', bundlePem: 'b', notBefore: 0, notAfter: 1 }
}

function bench() {
  const asked: { readonly operation: string; readonly request: object }[] = []
  const required = new Set<string>()
  /** What the disk held before the start. */
  const held = new Set([identityOf('former')])
  const failed: Record<string, string> = {}
  const bundles: string[] = []
  let changes = 0
  const ask = async (operation: string, request: object): Promise<readonly never[]> => {
    asked.push({ operation, request })
    return [
      { refused: [], failed: {} },
      { refused: [], failed },
    ] as never
  }
  const certificates: CertificateKeeper = {
    require: (identity) => required.add(identity),
    forget: (identity) => required.delete(identity),
    forgetUnrequired: () => {
      held.clear()
      for (const identity of required) held.add(identity)
    },
    setBundle: (pem) => {
      if (pem === 'bad') throw new Error('no certificate in it')
      bundles.push(pem)
    },
    get: (identity) => (identity === identityOf('a') ? certificate('a') : undefined),
    wait: async (identity) => {
      if (identity === identityOf('uncertified')) throw new Error('nobody signs it')
      return certificate('a')
    },
  }
  const onChange = () => {
    changes++
  }
  const state = new HandoffState({ certificates, workers: { all: ask, some: ask }, onChange, log: nullLogger() })
  return { state, asked, required, held, failed, bundles, changes: () => changes }
}

t.test('what the disk held for workloads that are gone by now is forgotten with the first state', async (t) => {
  const { state, held } = bench()
  await state.apply({ type: 'state', seq: 1, delta: delta(1), bundle: 'b', workloads: [local('a')] })
  t.same([...held], [identityOf('a')])
})

t.test('a state reaches the workers with the certificates that are there', async (t) => {
  const { state, asked, required, changes } = bench()
  t.equal(state.workerState(), undefined)
  t.equal(state.persisted(), undefined)
  const model = resourceOf(workload('a', '10.0.0.1'))
  const message = {
    type: 'state',
    seq: 1,
    delta: delta(1, [model]),
    bundle: 'b',
    workloads: [local('a'), local('c')],
  } as const
  t.same(await state.apply(message), { refused: [], failed: {} })
  t.match(asked, [
    { operation: 'state', request: { workloads: [{ uid: 'a' }, { uid: 'c' }], certificates: [certificate('a')] } },
  ])
  t.same([...required], [identityOf('a'), identityOf('c')])
  t.match(state.workerState(), {
    delta: { version: 1, full: true, upserts: [model] },
    certificates: [certificate('a')],
  })
  t.match(state.persisted(), { bundle: 'b', workloads: [{ uid: 'a' }, { uid: 'c' }] })
  t.notOk(JSON.stringify(state.persisted()).includes('keyPem'))
  t.equal(changes(), 1)
})

t.test('a workload that one worker cannot serve has failed', async (t) => {
  const { state, failed } = bench()
  await state.apply({ type: 'state', seq: 1, delta: delta(1), bundle: 'b', workloads: [] })
  failed['a'] = 'no such namespace'
  const added = await state.apply({ type: 'workload-add', seq: 2, workload: local('a') })
  t.same(added, { refused: [], failed: { a: 'no such namespace' } })
})

t.test('identities are required while a local workload has them', async (t) => {
  const { state, required, asked } = bench()
  await state.apply({ type: 'state', seq: 1, delta: delta(1), bundle: 'b', workloads: [local('a')] })
  await state.apply({ type: 'workload-add', seq: 2, workload: local('a2', { identity: identityOf('a') }) })
  await state.apply({ type: 'workload-remove', seq: 3, uid: 'a' })
  t.same([...required], [identityOf('a')], 'its twin still has it')
  await state.apply({ type: 'workload-remove', seq: 4, uid: 'a2' })
  t.same([...required], [])
  t.match(asked.at(-1), { operation: 'certificate-forget', request: { identity: identityOf('a') } })
})

t.test('certificates go to the workers only for identities that are needed', async (t) => {
  const { state, asked } = bench()
  state.certificateChanged(certificate('a'))
  t.same(asked, [])
  await state.apply({ type: 'state', seq: 1, delta: delta(1), bundle: 'b', workloads: [local('a')] })
  state.certificateChanged(certificate('a'))
  t.match(asked.at(-1), { operation: 'certificate', request: { certificate: certificate('a') } })
})

t.test('a refused resource is in the acknowledgement, the rest applies', async (t) => {
  const { state } = bench()
  const bad = { kind: 'Authorization', key: 'mesh/bad', value: { action: 'MAYBE' } } as unknown as CompiledResource
  const good = resourceOf(workload('a', '10.0.0.1'))
  await state.apply({ type: 'state', seq: 1, delta: delta(1), bundle: 'b', workloads: [] })
  const { refused } = await state.apply({ type: 'delta', seq: 2, delta: delta(2, [bad, good], false) })
  t.match(refused, [{ kind: 'Authorization', key: 'mesh/bad' }])
  t.ok(state.snapshot.workloadByUid('host/mesh/a/1'))
})

t.test('an added workload is acknowledged only with a certificate', async (t) => {
  const { state } = bench()
  await state.apply({ type: 'state', seq: 1, delta: delta(1), bundle: 'b', workloads: [] })
  const good = await state.apply({ type: 'workload-add', seq: 2, workload: local('a') })
  t.same(good.failed, {})
  const workload = local('uncertified')
  const { failed } = await state.apply({ type: 'workload-add', seq: 3, workload })
  t.match(failed[workload.uid], /no certificate yet: nobody signs it/)
})

t.test('an unreadable bundle stops the message before anything of it applies', async (t) => {
  const { state, asked } = bench()
  const message = { type: 'state', seq: 1, delta: delta(1), bundle: 'bad', workloads: [local('a')] } as const
  await t.rejects(state.apply(message))
  t.same(asked, [])
  t.equal(state.persisted(), undefined)
})

t.test('a change before the state is a protocol error', async (t) => {
  const { state } = bench()
  await t.rejects(state.apply({ type: 'delta', seq: 1, delta: delta(1) }), { code: 'FEED_PROTOCOL' })
  await t.rejects(state.apply({ type: 'workload-add', seq: 1, workload: local('a') }), { code: 'FEED_PROTOCOL' })
})

t.test('a workload of the state that has no certificate yet is not acknowledged as served', async (t) => {
  const { state } = bench()
  const workloads = [local('a'), local('uncertified')]
  const { failed } = await state.apply({ type: 'state', seq: 1, delta: delta(1), bundle: 'b', workloads })
  t.match(failed, { uncertified: /no certificate yet: nobody signs it/ })
  t.same(Object.keys(failed), ['uncertified'])
})

t.test('a daemon that drains follows the model and nothing else', async (t) => {
  const { state, asked, required, bundles, changes } = bench()
  await state.apply({ type: 'state', seq: 1, delta: delta(1), bundle: 'b', workloads: [local('a')] })
  state.drain()
  const before = { asked: asked.length, changes: changes() }
  t.equal(state.workerState(), undefined, 'a worker that crashes now comes back without listeners')
  const none = { refused: [], failed: {} }
  t.same(await state.apply({ type: 'workload-add', seq: 2, workload: local('b') }), none)
  t.same(await state.apply({ type: 'workload-remove', seq: 3, uid: 'a' }), none)
  t.same(await state.apply({ type: 'bundle', seq: 4, bundle: 'b2' }), none)
  t.equal(asked.length, before.asked)
  t.same([...required], [identityOf('a')])
  t.same(bundles, ['b'])
  await state.apply({ type: 'delta', seq: 5, delta: delta(2, [], false) })
  await state.apply({ type: 'state', seq: 6, delta: delta(3), bundle: 'b3', workloads: [] })
  t.match(asked.slice(before.asked), [
    { operation: 'delta', request: { delta: { version: 2 } } },
    { operation: 'delta', request: { delta: { version: 3, full: true } } },
  ])
  t.equal(asked.length, before.asked + 2)
  t.equal(state.snapshot.version, 3)
  t.equal(changes(), before.changes, 'the file belongs to the successor')
})
