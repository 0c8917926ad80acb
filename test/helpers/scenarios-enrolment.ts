// Scenarios: who is captured, what goes through the tunnel, by which address.
import type { Test } from 'tap'
import { ask, type Scenario, type World } from './scenario-world.ts'

async function answered(t: Test, world: World, from: string, to: string, port: number, pod: string): Promise<void> {
  const answer = await ask(world, from, { address: to, port })
  t.match(answer, { kind: 'answered', pod }, `${from} reaches ${pod} at ${to}:${port}`)
}

/** Runs `work` and says how many connections entered `workload` through the tunnel meanwhile. */
export async function tunnelled(world: World, workload: string, work: () => Promise<unknown>): Promise<number> {
  const before = await world.tunnelledInto(workload)
  await work()
  return (await world.tunnelledInto(workload)) - before
}

export const scenariosOfEnrolment: readonly Scenario[] = [
  {
    name: 'an enrolled client reaches an enrolled service on another host through the tunnel and keeps its address',
    run: async (t, world) => {
      const count = await tunnelled(world, 'mesh/server', async () => {
        const answer = await ask(world, 'mesh/client', { address: world.vip('mesh/server'), port: 8080 })
        t.match(answer, { kind: 'answered', pod: 'server', namespace: 'mesh', caller: world.address('mesh/client') })
      })
      t.equal(count, 1)
    },
  },
  {
    name: 'an enrolled client reaches an enrolled service on the same host through the tunnel',
    run: async (t, world) => {
      const count = await tunnelled(world, 'mesh/local', async () => {
        const answer = await ask(world, 'mesh/client', { address: world.vip('mesh/local'), port: 8080 })
        t.match(answer, { kind: 'answered', pod: 'local', caller: world.address('mesh/client') })
      })
      t.equal(count, 1)
    },
  },
  {
    name: 'an enrolled client reaches a service that is not enrolled in plaintext',
    run: async (t, world) => {
      await answered(t, world, 'mesh/client', world.vip('open/server'), 8080, 'server')
      await answered(t, world, 'mesh/client', world.address('open/server'), 8080, 'server')
      t.equal(await world.tunnelledInto('open/server'), 0)
    },
  },
  {
    name: 'a client that is not enrolled reaches an enrolled workload in plaintext and keeps its address',
    run: async (t, world) => {
      const count = await tunnelled(world, 'mesh/server', async () => {
        const answer = await ask(world, 'open/client', { address: world.address('mesh/server'), port: 8080 })
        t.match(answer, { kind: 'answered', pod: 'server', caller: world.address('open/client') })
      })
      t.equal(count, 0)
    },
  },
  {
    name: 'two workloads that are not enrolled talk as if there were no mesh',
    run: async (t, world) => {
      await answered(t, world, 'open/client', world.address('open/server'), 8080, 'server')
    },
  },
  {
    name: 'a workload that opted out is reached in plaintext although its namespace is enrolled',
    run: async (t, world) => {
      const count = await tunnelled(world, 'mesh/outside', () =>
        answered(t, world, 'mesh/client', world.vip('mesh/outside'), 8080, 'outside'),
      )
      t.equal(count, 0)
    },
  },
  {
    name: 'a workload address is reached through the tunnel like a service address',
    run: async (t, world) => {
      const count = await tunnelled(world, 'mesh/server', () =>
        answered(t, world, 'mesh/client', world.address('mesh/server'), 8080, 'server'),
      )
      t.equal(count, 1)
    },
  },
  {
    name: 'IPv6 service and workload addresses go through the tunnel and keep the caller',
    run: async (t, world) => {
      const count = await tunnelled(world, 'mesh/server', async () => {
        for (const address of [world.vip('mesh/server', 'ipv6'), world.address('mesh/server', 'ipv6')]) {
          const answer = await ask(world, 'mesh/client', { address, port: 8080 })
          t.match(answer, { kind: 'answered', pod: 'server', caller: world.address('mesh/client', 'ipv6') })
        }
      })
      t.equal(count, 2)
    },
  },
  {
    name: 'two services with one endpoint each lead to it by their own port',
    run: async (t, world) => {
      await answered(t, world, 'mesh/client', world.vip('mesh/server'), 8080, 'server')
      await answered(t, world, 'mesh/client', world.vip('mesh/alias'), 81, 'server')
    },
  },
  {
    name: 'a service with two endpoints spreads its connections over both',
    run: async (t, world) => {
      const pods = new Set<string>()
      for (let round = 0; round < 40; round++) {
        const answer = await ask(world, 'mesh/client', { address: world.vip('mesh/back'), port: 8080 })
        if (answer.kind === 'answered') pods.add(answer.pod)
      }
      t.same([...pods].sort(), ['second', 'server'])
    },
  },
  {
    name: 'a workload reaches itself by its own address and by its service',
    run: async (t, world) => {
      await answered(t, world, 'mesh/local', world.address('mesh/local'), 8080, 'local')
      await answered(t, world, 'mesh/local', world.vip('mesh/local'), 8080, 'local')
    },
  },
  {
    name: 'a port that the service lacks and a virtual address that nobody has are refused',
    run: async (t, world) => {
      t.match(await ask(world, 'mesh/client', { address: world.vip('mesh/server'), port: 9999 }), { kind: 'refused' })
      t.match(await ask(world, 'mesh/client', { address: '240.240.255.250', port: 8080 }), { kind: 'refused' })
    },
  },
  {
    name: "the mesh's own ports are refused as destinations",
    run: async (t, world) => {
      for (const target of ['mesh/client', 'mesh/server', 'mesh/local']) {
        for (const port of [15001, 15006, 15008]) {
          const answer = await ask(world, 'mesh/client', { address: world.address(target), port })
          t.match(answer, { kind: 'refused' }, `${target} port ${port}`)
        }
      }
      await answered(t, world, 'mesh/client', world.vip('mesh/server'), 8080, 'server')
    },
  },
]
