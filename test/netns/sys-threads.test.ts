// sys.ts in worker threads, and what happens when a window cannot be left: the process dies rather than go on in a stranger's
// namespace. Each case runs in a process of its own.
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { scratchNamespace } from '../helpers/scratch-namespace.ts'

const sys = new URL('../../core/net/sys.ts', import.meta.url).href

/** Closes the descriptor that leads home from inside the window, the only way to make the return fail. */
const losesItsWay = `
import { readdirSync, readlinkSync, closeSync } from 'node:fs'
import { NetworkNamespace } from '${sys}'
const own = readlinkSync('/proc/thread-self/ns/net')
const namespace = NetworkNamespace.open(process.env.CULVERT_TEST_NETNS)
namespace.run(() => 1)
const home = readdirSync('/proc/self/fd').filter((fd) => {
  try { return readlinkSync('/proc/self/fd/' + fd) === own } catch { return false }
})
namespace.run(() => { for (const fd of home) closeSync(Number(fd)) })
console.log('still alive')
`

function run(script: string, netns: string) {
  const env = { ...process.env, CULVERT_TEST_NETNS: netns, NODE_OPTIONS: '' }
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], { env, encoding: 'utf8', timeout: 20_000 })
}

t.test('a process that cannot leave a window aborts', (t) => {
  const made = scratchNamespace()
  t.teardown(() => made[Symbol.dispose]())
  const result = run(losesItsWay, made.path)
  t.equal(result.signal, 'SIGABRT', result.stderr)
  t.equal(result.stdout, '')
  t.end()
})

t.test('so does one whose worker thread cannot, where process.abort is not allowed', (t) => {
  const made = scratchNamespace()
  t.teardown(() => made[Symbol.dispose]())
  const script = `
import { Worker } from 'node:worker_threads'
new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(losesItsWay)})))`
  const result = run(script, made.path)
  t.equal(result.signal, 'SIGABRT', result.stderr)
  t.equal(result.stdout, '')
  t.end()
})

const opensWindows = `
import { parentPort, workerData } from 'node:worker_threads'
import { statSync } from 'node:fs'
import { NetworkNamespace, interfaceAddresses } from '${sys}'
const namespace = NetworkNamespace.open(workerData.path)
let wrong = 0
for (let count = 0; count < 5000; count += 1) {
  if (namespace.run(interfaceAddresses).join() !== workerData.address) wrong += 1
  if (count % 100 === 0 && statSync('/proc/thread-self/ns/net').ino !== workerData.own) wrong += 1
}
parentPort.postMessage({ wrong, self: NetworkNamespace.self().inode })
`

t.test('threads open windows of their own at the same time and never see each other there', async (t) => {
  const own = statSync('/proc/self/ns/net').ino
  const results = ['10.1.0.1', '10.2.0.1', '10.3.0.1'].map((address) => {
    const made = scratchNamespace()
    t.teardown(() => made[Symbol.dispose]())
    made.exec('ip', 'addr', 'add', `${address}/32`, 'dev', 'lo')
    const source = new URL(`data:text/javascript,${encodeURIComponent(opensWindows)}`)
    const worker = new Worker(source, { workerData: { path: made.path, address, own } })
    return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
  })
  t.same(
    await Promise.all(results),
    [1, 2, 3].map(() => ({ wrong: 0, self: own })),
  )
})
