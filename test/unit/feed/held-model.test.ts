import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nullLogger } from '../../../core/base/log.ts'
import { StateFile } from '../../../core/base/state-file.ts'
import { HeldModel, type ModelSink, type ModelState } from '../../../core/feed/held-model.ts'
import type { CompiledDelta, CompiledResource, RefusedResource } from '../../../core/model/types.ts'

const service: CompiledResource = {
  kind: 'Service',
  key: 'shop/orders.shop.svc.cluster.local',
  value: {
    namespace: 'shop',
    name: 'orders',
    hostname: 'orders.shop.svc.cluster.local',
    vips: ['240.240.0.1'],
    headless: false,
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    identities: [],
    loadBalancing: 'random',
  },
}
const bad = { kind: 'Service', key: 'shop/bad', value: { vips: 7 } } as unknown as CompiledResource
const delta = (version: number, upserts: readonly CompiledResource[] = []): CompiledDelta => ({
  epoch: 'e1',
  version,
  full: version === 1,
  upserts,
  removes: [],
})

function prepare(test: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'culvert-model-'))
  test.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'model.json')
  const acks: string[] = []
  const create = (): HeldModel =>
    new HeldModel({
      file: new StateFile<ModelState>(path, nullLogger()),
      log: nullLogger(),
      acknowledge: (epoch, version, refused) => {
        acks.push([`${epoch}/${version}`, ...refused.map(({ key }) => key)].join(' '))
      },
      changed: () => {},
      saveEveryMs: 5,
    })
  return { path, acks, create }
}

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 5000
  while (!condition() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 1))
  if (!condition()) throw new Error('never')
}

t.test('without a daemon a change is acknowledged once it is on disk, with what was refused', async (t) => {
  const { path, acks, create } = prepare(t)
  const model = create()
  model.setBundle('PEM')
  model.apply(delta(1, [service, bad]))
  t.same(acks, [])
  await until(() => acks.length === 1)
  t.same(acks, ['e1/1 shop/bad'])
  t.equal(JSON.parse(readFileSync(path, 'utf8')).value.delta.version, 1)
  t.equal(statSync(path).mode & 0o777, 0o600)
  await model.close()
})

t.test(
  'with a daemon it is acknowledged when the daemon has, and again when a daemon takes the whole state',
  async (t) => {
    const { acks, create } = prepare(t)
    const model = create()
    const answer = Promise.withResolvers<readonly RefusedResource[]>()
    const sink: ModelSink = { connected: 1, delta: () => answer.promise, bundle: async () => {} }
    model.publishTo(sink)
    model.apply(delta(1, [bad]))
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.same(acks, [], 'on disk is not enough')
    answer.resolve([{ kind: 'Service', key: 'shop/bad', reason: 'bad' }])
    await until(() => acks.length === 1)
    model.taken('e1', 1, [])
    t.same(acks, ['e1/1 shop/bad', 'e1/1 shop/bad'], 'what is still refused is said again')
    await model.close()
  },
)

t.test('a daemon that fails to answer is not counted as having taken the change while it is there', async (t) => {
  const { acks, create, path } = prepare(t)
  const model = create()
  const sink = { connected: 1, delta: () => Promise.reject(new Error('gone')), bundle: async () => {} }
  model.publishTo(sink)
  model.apply(delta(1))
  await until(() => existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).value.delta.version === 1)
  await new Promise((resolve) => setTimeout(resolve, 30))
  t.same(acks, [])
  sink.connected = 0
  model.apply(delta(2))
  await until(() => acks.length === 1)
  t.same(acks, ['e1/2'])
  await model.close()
})

t.test('the last good model comes back from disk; a file that is damaged counts as none', async (t) => {
  const { path, create } = prepare(t)
  const first = create()
  first.setBundle('PEM')
  first.apply(delta(1, [service]))
  await first.close()
  const second = create()
  await second.load()
  t.equal(second.bundle, 'PEM')
  t.same(second.version, { epoch: 'e1', version: 1 })
  t.ok(second.snapshot.serviceByVip('240.240.0.1'))
  writeFileSync(path, '{"format":1,"value":{"delta":')
  const third = create()
  await third.load()
  t.equal(third.known, false)
  writeFileSync(path, '{"format":99,"value":{}}')
  await third.load()
  t.equal(third.known, false)
})

t.test('writes that wait are merged into one with the newest value', async (t) => {
  const { path } = prepare(t)
  const file = new StateFile<number>(path, nullLogger())
  let evaluated = 0
  const value = (n: number) => () => {
    evaluated += 1
    return n
  }
  await Promise.all([1, 2, 3, 4].map((n) => file.save(value(n))))
  t.equal(JSON.parse(readFileSync(path, 'utf8')).value, 4)
  t.ok(evaluated < 4)
})
