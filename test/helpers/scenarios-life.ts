// Scenarios: names, endpoints that come and go, addresses that change hands, daemons that restart, halves that close.

import { ask, Held, readAll, type Scenario, service } from './scenario-world.ts'

export const scenariosOfLife: readonly Scenario[] = [
  {
    name: 'service names resolve to their virtual addresses in every spelling',
    run: async (t, world) => {
      for (const name of ['server.mesh', 'server.mesh.svc.cluster.local', 'SERVER.mesh.svc.cluster.local.']) {
        const four = await world.lookup('mesh/client', name, 'A')
        t.same(four, { rcode: 'NOERROR', addresses: [world.vip('mesh/server')] }, name)
        const six = await world.lookup('mesh/client', name, 'AAAA')
        t.same(six, { rcode: 'NOERROR', addresses: [world.vip('mesh/server', 'ipv6')] }, name)
      }
      t.same((await world.lookup('mesh/client', 'server', 'A')).addresses, [world.vip('mesh/server')], 'own namespace')
    },
  },
  {
    name: 'an unknown name of the mesh does not exist, and a foreign name without a resolver is a server failure',
    run: async (t, world) => {
      t.match(await world.lookup('mesh/client', 'nobody.mesh.svc.cluster.local', 'A'), { rcode: 'NXDOMAIN' })
      t.match(await world.lookup('mesh/client', 'example.org', 'A'), { rcode: 'SERVFAIL' })
    },
  },
  {
    name: 'an endpoint that is removed gets no new connection and keeps the established one',
    run: async (t, world) => {
      const to = { address: world.vip('mesh/server'), port: 8080 }
      const held = new Held(await world.open('mesh/client', to))
      t.ok(await held.works())
      await world.apply(service('mesh', 'server', 'app: nobody', 'port: 8080'))
      t.match(await ask(world, 'mesh/client', to), { kind: 'refused' })
      t.ok(await held.works(), 'the established connection lives')
      await world.apply(service('mesh', 'server', 'app: server', 'port: 8080'))
      t.match(await ask(world, 'mesh/client', to), { kind: 'answered' })
      held.socket.destroy()
    },
  },
  {
    name: 'a client that closes its half still receives the whole answer',
    run: async (t, world) => {
      const socket = await world.open('mesh/client', { address: world.vip('mesh/server'), port: 8080 })
      socket.end('GET /who HTTP/1.1\r\nhost: half\r\nconnection: close\r\n\r\n')
      t.match(await readAll(socket), /"pod":\s*"server"/)
    },
  },
  {
    name: 'a daemon that restarts serves its workloads again',
    run: async (t, world) => {
      const to = { address: world.vip('mesh/server'), port: 8080 }
      t.match(await ask(world, 'mesh/client', to), { kind: 'answered' })
      await world.restartDaemon('h2')
      t.match(await ask(world, 'mesh/client', to), { kind: 'answered' }, 'the destination restarted')
      await world.restartDaemon('h1')
      t.match(await ask(world, 'mesh/client', to), { kind: 'answered' }, 'the source restarted')
    },
  },
  {
    name: 'an address that changes hands is never reached under the old identity',
    run: async (t, world) => {
      const to = { address: world.address('mesh/reuse'), port: 8080 }
      t.match(await ask(world, 'mesh/client', to), { kind: 'answered', pod: 'reuse' })
      await world.reuseAddress({ name: 'successor', serviceAccount: 'successor' })
      t.match(await ask(world, 'mesh/client', to), { kind: 'answered' })
      t.ok((await world.tunnelledInto('mesh/successor')) >= 1, 'the successor was reached through a tunnel of its own')
      const gone = await ask(world, 'mesh/client', { address: world.vip('mesh/reuse'), port: 8080 })
      t.match(gone, { kind: 'refused' }, 'the old service has no endpoint left')
    },
  },
]
