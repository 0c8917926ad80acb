import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type NamespaceFacts, WorkloadDirectory } from '../../../../agent/discover/directory.ts'
import { nullLogger } from '../../../../core/base/log.ts'

function prepare(test: Test) {
  const directory = mkdtempSync(join(tmpdir(), 'culvert-workloads-'))
  const namespaces = new Map<string, NamespaceFacts>()
  let changes = 0
  const discoverer = new WorkloadDirectory({
    directory,
    rescanMs: 60_000,
    log: nullLogger(),
    resolvConf: join(directory, 'resolv.conf'),
    lookInto: (path) => namespaces.get(path),
  })
  test.teardown(async () => {
    await discoverer.close()
    rmSync(directory, { recursive: true })
  })
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text)
  const define = (file: string, name: string, netns: string): void =>
    write(file, `name: ${name}\nnamespace: shop\nserviceAccount: sa\nnetns: ${netns}\n`)
  const start = (): Promise<void> =>
    discoverer.start(() => {
      changes += 1
    })
  const names = () => discoverer.workloads.map(({ name }) => name)
  return { directory, namespaces, discoverer, write, define, start, names, changes: () => changes }
}

t.test('files become workloads with the addresses of their namespace and the resolvers of the host', async (t) => {
  const p = prepare(t)
  p.namespaces.set('/n/a', { inode: 1, addresses: ['10.0.0.2', 'fd00:0::2'] })
  p.write('resolv.conf', 'nameserver 10.0.0.1\n')
  p.write('README.txt', 'not a definition')
  p.define('a.yaml', 'a', '/n/a')
  await p.start()
  t.match(p.discoverer.workloads, [
    {
      name: 'a',
      addresses: ['10.0.0.2', 'fd00::2'],
      nameservers: ['10.0.0.1'],
      netns: { path: '/n/a', inode: 1 },
      weight: 1,
    },
  ])
})

t.test('a changed directory is noticed', async (t) => {
  const p = prepare(t)
  p.namespaces.set('/n/a', { inode: 1, addresses: [] })
  await p.start()
  t.same(p.names(), [])
  p.define('a.yaml', 'a', '/n/a')
  const end = Date.now() + 5000
  while (p.changes() === 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
  t.same(p.names(), ['a'])
})

t.test('a file that becomes bad keeps its workload, one that goes away ends it', async (t) => {
  const p = prepare(t)
  p.namespaces.set('/n/a', { inode: 1, addresses: [] })
  p.define('a.yaml', 'a', '/n/a')
  await p.start()
  p.write('a.yaml', 'name: [')
  await p.discoverer.rescan()
  t.same(p.names(), ['a'])
  rmSync(join(p.directory, 'a.yaml'))
  await p.discoverer.rescan()
  t.same(p.names(), [])
})

t.test('of two files with one name or one namespace only the first counts', async (t) => {
  const p = prepare(t)
  p.namespaces.set('/n/a', { inode: 1, addresses: [] })
  p.namespaces.set('/n/b', { inode: 2, addresses: [] })
  p.namespaces.set('/n/c', { inode: 1, addresses: [] })
  p.define('1.yaml', 'a', '/n/a')
  p.define('2.yaml', 'a', '/n/b')
  p.define('3.yaml', 'c', '/n/c')
  await p.start()
  t.same(p.names(), ['a'])
  rmSync(join(p.directory, '1.yaml'))
  await p.discoverer.rescan()
  t.same(p.names(), ['a', 'c'])
})

t.test('a namespace that ends, or becomes another one, shows', async (t) => {
  const p = prepare(t)
  p.namespaces.set('/n/a', { inode: 1, addresses: [] })
  p.define('a.yaml', 'a', '/n/a')
  await p.start()
  p.namespaces.set('/n/a', { inode: 2, addresses: [] })
  await p.discoverer.rescan()
  t.equal(p.discoverer.workloads[0]?.netns.inode, 2)
  p.namespaces.clear()
  await p.discoverer.rescan()
  t.same(p.names(), [])
})

t.test("the agent's own namespace is never a workload's", async (t) => {
  const p = prepare(t)
  p.namespaces.set('/n/a', { inode: statSync('/proc/self/ns/net').ino, addresses: [] })
  p.define('a.yaml', 'a', '/n/a')
  await p.start()
  t.same(p.names(), [])
})
