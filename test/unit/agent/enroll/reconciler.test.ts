// The reconcile loop with everything around it faked: what happens, and in which order.
import t, { type Test } from 'tap'
import type { DiscoveredWorkload } from '../../../../agent/discover/discoverer.ts'
import { Reconciler } from '../../../../agent/enroll/reconciler.ts'
import type { Serving } from '../../../../agent/handoff-connection.ts'
import type { RedirectRecord } from '../../../../agent/redirect/apply.ts'
import type { HostState } from '../../../../agent/state.ts'
import { nullLogger } from '../../../../core/base/log.ts'
import type { StateFile } from '../../../../core/base/state-file.ts'
import type { LocalWorkload } from '../../../../core/feed/handoff.ts'
import type { WorkloadReport } from '../../../../core/feed/messages.ts'
import type { Workload } from '../../../../core/model/types.ts'

const orders: DiscoveredWorkload = {
  name: 'orders',
  namespace: 'shop',
  serviceAccount: 'orders',
  labels: {},
  ports: { http: 8080 },
  addresses: ['10.0.0.2'],
  nameservers: [],
  locality: '',
  weight: 1,
  netns: { path: '/nowhere/orders', inode: 7 },
}
const uid = 'h1/shop/orders/i1'

class World {
  readonly events: string[] = []
  readonly model = new Map<string, Workload>()
  readonly refusedUids = new Set<string>()
  readonly served = new Map<string, string>()
  reports: readonly WorkloadReport[] = []
  saved: HostState | undefined
  known = true
  connected = true
  daemon: 'absent' | 'there' = 'there'
  daemonFails = 0
  installFails = 0
  changes: readonly string[] = ['nat']
  bypassing = new Set<string>()
  resets = true
  /** Connections that the daemon has. */
  held = 0
  bootId = 'boot1'
  nextInstance = 1
  reconciler: Reconciler

  constructor() {
    this.reconciler = this.start()
  }

  start(): Reconciler {
    this.reconciler = new Reconciler({
      host: 'h1',
      bootId: this.bootId,
      pins: {
        pin: (name, _path, inode) => {
          this.events.push(`pin ${name}`)
          return { path: `/pins/${name}`, inode }
        },
        held: (name, inode) => ({ path: `/pins/${name}`, inode }),
        release: (name) => void this.events.push(`unpin ${name}`),
        releaseOthers: () => [],
      },
      file: {
        load: async () => this.saved,
        save: async (value: () => HostState) => {
          this.saved = structuredClone(value())
        },
        idle: async () => {},
      } as unknown as StateFile<HostState>,
      connected: () => this.connected,
      report: (workloads) => {
        const captured = (list: readonly WorkloadReport[]) => list.map((one) => `${one.uid}=${one.captured}`).join()
        if (captured(workloads) !== captured(this.reports)) this.events.push(`report ${captured(workloads)}`)
        this.reports = workloads
      },
      redirector: {
        apply: async (_target, record, remember) => {
          if (this.installFails-- > 0) throw new Error('no iptables')
          if (record === undefined) await remember({ sysctls: { a: '1' } })
          const changes = this.changes
          this.changes = []
          if (changes.length > 0) this.events.push('install')
          return changes
        },
        undivert: async () => {
          this.changes = ['nat']
          this.events.push('undivert')
        },
        remove: async (_target, record: RedirectRecord | undefined) => {
          this.changes = ['nat']
          this.events.push(`restore ${JSON.stringify(record?.sysctls)}`)
        },
      },
      connections: {
        bypassing: async () => new Set(this.bypassing),
        reset: async (_netns, keys) => {
          this.events.push(`reset ${[...keys].join()}`)
          if (this.resets) for (const key of keys) this.bypassing.delete(key)
        },
        held: async () => this.held,
      },
      daemon: {
        serving: (workload): Serving => {
          if (this.daemon === 'absent') return 'absent'
          return this.served.get(workload.uid) === JSON.stringify(workload) ? 'served' : 'unserved'
        },
        add: async (workload: LocalWorkload) => {
          if (this.daemonFails-- > 0) throw new Error('no listeners')
          this.events.push('serve')
          this.served.set(workload.uid, JSON.stringify(workload))
        },
        remove: async (gone) => {
          this.events.push('drain')
          this.served.delete(gone)
        },
      },
      model: this.#model(),
      timing: {
        verifyMs: 5,
        releaseMs: 60,
        lingerMs: 20,
        drainMs: 400,
        absenceGraceMs: 80,
        retryBaseMs: 1,
        retryMaxMs: 2,
      },
      clock: Date.now,
      log: nullLogger(),
      instanceId: () => `i${this.nextInstance++}`,
    })
    return this.reconciler
  }

  #model() {
    const world = this
    return {
      get known() {
        return world.known
      },
      workload: (id: string) => world.model.get(id),
      vipRanges: [],
      trustDomain: 'cluster.local',
    }
  }

  /** The control plane's word on a workload. */
  say(enrolled: boolean, extra: Partial<Workload> = {}, of = uid): void {
    this.model.set(of, {
      uid: of,
      enrolled,
      protocol: 'TCP',
      peerAuthentication: { mode: 'PERMISSIVE', ports: {} },
      ...extra,
    } as Workload)
    this.reconciler.wake()
  }

  state(): string | undefined {
    return [...this.reconciler.states.keys()][0]
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    const end = Date.now() + 5000
    while (!condition()) {
      if (Date.now() > end) throw new Error(`never: ${what}; ${this.events.join(' | ')}`)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
}

function world(test: Test): World {
  const made = new World()
  test.teardown(() => made.reconciler.close())
  return made
}

async function captured(w: World): Promise<void> {
  await w.reconciler.load()
  w.reconciler.discovered([orders])
  w.say(true)
  await w.until('captured', () => w.state() === 'captured')
  w.say(true, { protocol: 'HBONE' })
}

t.test('enrolment opens listeners, installs rules, then reports; un-enrolment goes backwards', async (t) => {
  const w = world(t)
  await captured(w)
  t.same(w.events, ['pin shop.orders.i1', `report ${uid}=false`, 'serve', 'install', `report ${uid}=true`])
  t.same(w.saved?.workloads[0]?.redirect, { sysctls: { a: '1' } })
  t.equal(w.saved?.workloads[0]?.captured, true)
  w.events.length = 0
  w.say(false, { protocol: 'HBONE' })
  await w.until('releasing', () => w.state() === 'releasing')
  t.same(w.events, [`report ${uid}=false`], 'rules stay while peers may tunnel')
  w.say(false, { protocol: 'TCP' })
  await w.until('plain', () => w.state() === 'plain')
  t.same(w.events, [`report ${uid}=false`, 'undivert', 'drain', 'restore {"a":"1"}'])
  t.equal(w.saved?.workloads[0]?.redirect, undefined)
  t.equal(w.reconciler.localWorkloads.length, 0)
})

t.test('what leads replies home stays until the daemon has drained, but not for ever', async (t) => {
  const w = world(t)
  await captured(w)
  w.held = 1
  w.say(false, { protocol: 'TCP' })
  await w.until('draining', () => w.state() === 'draining')
  t.notMatch(w.events.join(), 'restore')
  t.ok(w.saved?.workloads[0]?.redirect, 'an agent that is started anew goes on with it')
  w.held = 0
  await w.until('plain', () => w.state() === 'plain')
  t.match(w.events.join(), 'restore')
  w.say(true)
  await w.until('captured', () => w.state() === 'captured')
  w.held = 1
  w.say(false, { protocol: 'TCP' })
  await w.until('plain again', () => w.state() === 'plain')
})

t.test('a label that comes back while the workload leaves captures it again', async (t) => {
  for (const phase of ['lingering', 'draining']) {
    const w = world(t)
    await captured(w)
    w.held = 1
    w.say(false, { protocol: 'TCP' })
    await w.until(phase, () => w.state() === phase)
    w.events.length = 0
    w.say(true)
    await w.until('captured', () => w.state() === 'captured')
    const served = phase === 'draining' ? ['serve'] : []
    t.same(w.events, [...served, 'install', `report ${uid}=true`], phase)
    t.same(w.saved?.workloads[0]?.redirect, { sysctls: { a: '1' } }, 'what was there before the mesh is not forgotten')
  }
})

t.test('peers that are not heard of delay un-enrolment only so long', async (t) => {
  const w = world(t)
  await captured(w)
  w.say(false, { protocol: 'HBONE' })
  await w.until('plain', () => w.state() === 'plain')
  t.match(w.events.join(), 'restore')
})

t.test('without a daemon no rules are installed, and they are once it is there', async (t) => {
  const w = world(t)
  w.daemon = 'absent'
  await w.reconciler.load()
  w.reconciler.discovered([orders])
  w.say(true)
  await w.until('offered', () => w.state() === 'offered')
  t.equal(w.reconciler.localWorkloads[0]?.uid, uid, 'the state message will name it')
  t.notMatch(w.events.join(), 'install')
  w.daemon = 'there'
  w.reconciler.wake()
  await w.until('captured', () => w.state() === 'captured')
})

t.test('failures are tried again: listeners and rules', async (t) => {
  const w = world(t)
  w.daemonFails = 2
  w.installFails = 3
  await captured(w)
  t.equal(w.reports[0]?.captured, true)
})

t.test('a daemon that dies changes nothing; a new one is asked to listen', async (t) => {
  const w = world(t)
  await captured(w)
  w.events.length = 0
  w.daemon = 'absent'
  w.reconciler.wake()
  w.served.clear()
  w.daemon = 'there'
  w.reconciler.wake()
  await w.until('served again', () => w.served.has(uid))
  t.equal(w.state(), 'captured')
  t.same(w.events, ['serve'])
})

t.test('drift is repaired', async (t) => {
  const w = world(t)
  await captured(w)
  w.events.length = 0
  w.changes = ['nat']
  await w.until('repair', () => w.events.includes('install'))
  t.equal(w.state(), 'captured')
})

t.test('a workload whose namespace is gone is taken back without waiting, and its pin goes last', async (t) => {
  const w = world(t)
  await captured(w)
  w.events.length = 0
  w.reconciler.discovered([])
  await w.until('gone', () => w.reconciler.states.size === 0)
  t.same(w.events, ['report ', 'undivert', 'drain', 'restore {"a":"1"}', 'unpin shop.orders.i1'])
  t.same(w.saved?.workloads, [])
})

t.test('another namespace under the same name is another instance', async (t) => {
  const w = world(t)
  await captured(w)
  w.reconciler.discovered([{ ...orders, netns: { path: orders.netns.path, inode: 8 } }])
  await w.until('the new one', () => w.reports.some((report) => report.uid === 'h1/shop/orders/i2'))
  await w.until('the old one gone', () => w.saved?.workloads.length === 1)
  t.equal(w.reports.length, 1)
  t.equal(w.model.get('h1/shop/orders/i2'), undefined, 'it is not enrolled before the control plane says so')
})

t.test('another service account in the same namespace waits until the former workload has left', async (t) => {
  const w = world(t)
  await captured(w)
  w.events.length = 0
  w.reconciler.discovered([{ ...orders, serviceAccount: 'other' }])
  await w.until('the new one', () => w.reports.some((report) => report.serviceAccount === 'other'))
  const pinned = w.events.filter((event) => event.includes('pin'))
  t.same(pinned, ['unpin shop.orders.i1', 'pin shop.orders.i2'])
})

t.test('a restarted agent adopts what is in place, without a model and without touching it', async (t) => {
  const w = world(t)
  await captured(w)
  await w.reconciler.close()
  w.events.length = 0
  w.known = false
  w.model.clear()
  w.start()
  await w.reconciler.load()
  t.equal(w.reconciler.localWorkloads[0]?.uid, uid)
  w.reconciler.discovered([orders])
  await new Promise((resolve) => setTimeout(resolve, 30))
  t.equal(w.state(), 'captured')
  t.equal(w.reports[0]?.captured, true)
  t.same(w.events, [], 'same report, no rule, no listener')
})

t.test(
  'after a reboot a workload described as before keeps its uid, so that the saved model still means it',
  async (t) => {
    const w = world(t)
    await captured(w)
    await w.reconciler.close()
    w.bootId = 'boot2'
    w.changes = ['nat']
    w.served.clear()
    w.start()
    await w.reconciler.load()
    w.reconciler.discovered([{ ...orders, netns: { path: orders.netns.path, inode: 99 } }])
    await w.until('captured', () => w.state() === 'captured')
    t.equal(w.reports[0]?.uid, uid)
  },
)

t.test('a workload that drops out of the model is let go only after a while; a refused one at once', async (t) => {
  const w = world(t)
  await captured(w)
  w.model.clear()
  w.reconciler.wake()
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(w.state(), 'captured')
  await w.until('plain', () => w.state() === 'plain')
  const second = world(t)
  await captured(second)
  second.model.clear()
  second.reconciler.refused([{ uid, reason: 'not in the grant' }])
  const before = Date.now()
  await second.until('plain', () => second.state() === 'plain')
  t.ok(Date.now() - before < 70)
})

t.test('older connections are counted, followed, and reset once the workload is STRICT', async (t) => {
  const w = world(t)
  w.bypassing = new Set(['10.0.0.2:8080 10.0.0.9:1', '10.0.0.2:9090 10.0.0.9:2', '10.0.0.2:9091 10.0.0.9:3'])
  await captured(w)
  t.equal(w.reports[0]?.uncapturedConnections, 3)
  w.bypassing.delete('10.0.0.2:9091 10.0.0.9:3')
  w.bypassing.add('10.0.0.2:9092 10.0.0.9:4')
  await w.until('followed', () => w.reports[0]?.uncapturedConnections === 2)
  w.say(true, { protocol: 'HBONE', peerAuthentication: { mode: 'STRICT', ports: { '9090': 'PERMISSIVE' } } })
  await w.until('reset', () => w.reports[0]?.uncapturedConnections === 1)
  t.match(w.events.join(), 'reset 10.0.0.2:8080 10.0.0.9:1')
  t.notMatch(w.events.join(), 'reset 10.0.0.2:9090')
})

t.test('a kernel that cannot reset connections is asked once', async (t) => {
  const w = world(t)
  w.resets = false
  w.bypassing = new Set(['10.0.0.2:8080 10.0.0.9:1'])
  await captured(w)
  w.say(true, { protocol: 'HBONE', peerAuthentication: { mode: 'STRICT', ports: {} } })
  await w.until('asked', () => w.events.some((event) => event.startsWith('reset')))
  t.equal(w.reports[0]?.uncapturedConnections, 1)
  t.equal(w.state(), 'captured')
})
