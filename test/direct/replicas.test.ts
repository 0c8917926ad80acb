// Three control planes on three etcd members: whichever process dies, hosts go on at another one with what they have.
import t from 'tap'
import type { LiveExplanation } from '../../core/model/explanation.ts'
import { report } from '../helpers/control-reports.ts'
import { until } from '../helpers/control-world.ts'
import { type ReplicaProcess, type ReplicatedHost, ReplicaWorld } from '../helpers/replica-world.ts'

const hostCount = 12

t.test('three replicas on three etcd members', async (t) => {
  const world = await ReplicaWorld.start()
  t.teardown(() => world.close())
  const [first, second] = world.replicas as [ReplicaProcess, ReplicaProcess, ReplicaProcess]

  await t.test('they are one mesh: tokens, certificates and writes of one hold at the others', async (t) => {
    await world.addHosts(hostCount)
    await world.change(first, 'one')
    const read = await second.call('GET', '/api/v1/namespaces/default/services/one')
    t.equal(read.status, 200)
    const all = await until('three replicas', async () => {
      const { body } = await first.call('GET', '/culvert/v1/status')
      return (body['replicas'] as readonly { leads: boolean }[]).length === 3 && body
    })
    t.equal((all['replicas'] as readonly { leads: boolean }[]).filter(({ leads }) => leads).length, 1)
    const connected = await until('all hosts, wherever they are connected', async () => {
      const { body } = await second.call('GET', '/culvert/v1/status')
      const hosts = body['hosts'] as readonly { connected: boolean }[]
      return hosts.filter((host) => host.connected).length === hostCount && hosts
    })
    t.equal(connected.length, hostCount)
  })

  await t.test('explain --live hears the daemons of all hosts, whichever replica they are connected to', async (t) => {
    const placed = new Map<string, ReplicatedHost>()
    for (const host of world.hosts) placed.set(await world.replicaOf(first, host), host)
    t.equal(placed.size, 3, 'hosts are spread over the replicas')
    const hosts = [...placed.values()].slice(0, 2) as [ReplicatedHost, ReplicatedHost]
    for (const [index, { client, name }] of hosts.entries()) {
      const one = { ...report(name, `orders-${index}`, `10.9.${index}.1`), serviceAccount: 'orders' }
      client.report([one])
    }
    await until('both workloads everywhere', () =>
      world.hosts.every(({ snapshot }) => [0, 1].every((index) => snapshot.workloadByAddress(`10.9.${index}.1`))),
    )
    for (const replica of world.replicas) {
      const { code, stdout, stderr } = await replica.culvert(
        ...['explain', 'shop/orders-0', '10.9.1.1:8080', '--live', '-o', 'json'],
      )
      t.equal(code, 0, stderr)
      const { live } = JSON.parse(stdout) as LiveExplanation
      t.match(
        live.map(({ host, failed, differences }) => ({ host, failed, differences })),
        hosts.map(({ name }) => ({ host: name, failed: undefined, differences: [] })),
      )
    }
  })

  const survive = (name: string, strike: () => Promise<() => Promise<void>>, leavesAgents = false): Promise<unknown> =>
    t.test(name, async (t) => {
      for (const host of world.hosts) {
        host.longestGapMs = 0
        host.deltas.length = 0
      }
      const mend = await strike()
      const alive = world.replicas.filter(({ running }) => running)
      const ms = await world.change(alive[alive.length - 1]!, name.replace(/[^a-z]+/g, '-').slice(0, 40))
      await until('everybody is connected', () => world.hosts.every(({ connected }) => connected))
      const gap = Math.max(...world.hosts.map(({ longestGapMs }) => longestGapMs))
      t.comment(
        `longest time without a control plane ${Math.round(gap)} ms; the next change at every host after ${Math.round(ms)} ms`,
      )
      if (leavesAgents) t.equal(gap, 0, 'no host lost its connection')
      t.notOk(
        world.hosts.some(({ deltas }) => deltas.some(({ full }) => full)),
        'nobody was sent everything again',
      )
      await mend()
    })

  const killed = async (replica: ReplicaProcess): Promise<() => Promise<void>> => {
    await replica.kill('SIGKILL')
    return () => replica.start()
  }
  await survive('a replica that does not lead is killed', async () => {
    const leader = await world.leader()
    return killed(world.replicas.find((replica) => replica !== leader)!)
  })
  await survive('the leader is killed', async () => killed(await world.leader()))
  await survive(
    'an etcd member is killed',
    async () => {
      const [member] = world.etcd.members
      await member!.kill('SIGKILL')
      return async () => {
        member!.start()
        await world.etcd.ready(member!)
      }
    },
    true,
  )
  await survive('a replica stands still', async () => {
    const leader = await world.leader()
    const frozen = world.replicas.find((replica) => replica !== leader && replica !== world.replicas[2])!
    frozen.signal('SIGSTOP')
    return async () => frozen.signal('SIGCONT')
  })

  await t.test('a host that is deleted at one replica is cut off at another', async (t) => {
    const [host] = world.hosts
    t.equal((await first.call('DELETE', `/culvert/v1/hosts/${host!.name}`)).status, 200)
    await until('cut off', () => {
      const { state } = host!.client
      return state.kind === 'waiting' && state.error.code === 'NODE_UNAUTHORIZED'
    })
  })
})
