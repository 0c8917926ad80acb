// Hosts that vanish without a word: packets are dropped between them, so that no reset and no end tells anybody anything.
import t, { type Test } from 'tap'
import { runCommand } from '../../lab/command.ts'
import { waitUntil } from '../../lab/lab.ts'
import { insideNamespace } from '../../lab/network.ts'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'
import { ask, Held, service } from '../helpers/scenario-world.ts'

const port = 8080

const topology = `
hosts: [h1, h2, h3]
workloads:
- {name: client, namespace: shop, serviceAccount: client, host: h1, labels: {app: client}}
- {name: a, namespace: shop, serviceAccount: server, host: h2, labels: {app: server}, echo: {}}
- {name: b, namespace: shop, serviceAccount: server, host: h3, labels: {app: server}, echo: {}}
`
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {culvert.dev/dataplane-mode: ambient}}
---
${service('shop', 'server', 'app: server', 'port: 8080')}
`

t.setTimeout(180_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

async function inside(netns: string, ...command: readonly string[]): Promise<string> {
  const [program, ...words] = insideNamespace(netns, command)
  return await runCommand(program!, words)
}

/** Sets rules of a namespace's filter table until the end of the test, or until `lift`. */
async function drops(t: Test, netns: string, rules: readonly (readonly string[])[]): Promise<() => Promise<void>> {
  for (const [chain, ...match] of rules) await inside(netns, 'iptables', '-I', chain!, ...match, '-j', 'DROP')
  let lifted = false
  const lift = async (): Promise<void> => {
    if (lifted) return
    lifted = true
    for (const [chain, ...match] of rules) await inside(netns, 'iptables', '-D', chain!, ...match, '-j', 'DROP')
  }
  t.teardown(lift)
  return lift
}

async function answeredBy(mesh: MeshLab, address: string): Promise<string> {
  const answer = await ask(mesh, 'shop/client', { address, port })
  return answer.kind === 'answered' ? answer.pod : answer.how
}

t.test('hosts that vanish', async (t) => {
  const mesh = await meshLab({ name: 'part', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  const vip = mesh.vip('shop/server')

  await t.test('a daemon that comes back without a word about its old tunnels costs no connection', async (t) => {
    const address = mesh.address('shop/a')
    t.equal(await answeredBy(mesh, address), 'a')
    const tunnels = await inside(mesh.workload('shop/client').netns, 'ss', '-Htn', 'dport', '=', ':15008')
    const ports = tunnels.split('\n').flatMap((line) => line.trim().split(/\s+/)[3]?.split(':').at(-1) ?? [])
    t.ok(ports.length > 0, 'there is a tunnel')
    // Neither end, reset nor anything else of the tunnels there are leaves the destination.
    await drops(
      t,
      mesh.workload('shop/a').netns,
      ports.map((each) => ['OUTPUT', '-p', 'tcp', '--sport', '15008', '--dport', each]),
    )
    await mesh.kill('daemon@h2')
    await mesh.daemonReady('h2')
    const start = performance.now()
    t.equal(await answeredBy(mesh, address), 'a')
    t.comment(`answered after ${Math.round(performance.now() - start)} ms`)
  })

  await t.test('with one host cut off, its services go on at the other', async (t) => {
    const seen = new Set<string>()
    const used = async (): Promise<boolean> => seen.add(await answeredBy(mesh, vip)).size === 2
    await waitUntil('both endpoints have served', used, 30_000)
    const held = new Held(await mesh.open('shop/client', { address: mesh.address('shop/a'), port }))
    t.ok(await held.works())
    const host = mesh.hostOf('shop/a').netns
    const lift = await drops(t, host, [
      ['FORWARD', '-d', mesh.address('shop/a')],
      ['FORWARD', '-s', mesh.address('shop/a')],
    ])
    const answers: string[] = []
    const times: number[] = []
    for (let count = 0; count < 40; count++) {
      const start = performance.now()
      answers.push(await answeredBy(mesh, vip))
      times.push(Math.round(performance.now() - start))
    }
    t.same(new Set(answers), new Set(['b']), 'every connection is answered')
    t.comment(
      `the slowest took ${times
        .toSorted((x, y) => y - x)
        .slice(0, 3)
        .join(', ')} ms`,
    )
    await held.closesWithin(60_000)
    t.pass('what was open to the lost host is closed by itself')
    await lift()
    const back = async (): Promise<boolean> => (await answeredBy(mesh, mesh.address('shop/a'))) === 'a'
    await waitUntil('the host is reached again', back, 30_000)
  })
})
