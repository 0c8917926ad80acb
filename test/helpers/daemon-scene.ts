// The scene of the daemon's direct tests: two callers on one host, an echo server behind a service on another.
import type net from 'node:net'
import type { Test } from 'tap'
import { type Host, memberOf, PlaneWorld, readExactly, service, workload } from './plane-world.ts'

export const port = 8080
export const vip = { address: '240.240.0.1', port: 80 }
export const server = { address: '10.0.2.1', port }

export interface Scene {
  readonly world: PlaneWorld
  readonly near: Host
  readonly far: Host
  /** Connections that the application has, as it sees their callers. */
  readonly callers: string[]
  readonly application: net.Server
}

/** client 10.0.1.1 and other 10.0.1.2 on one host, server 10.0.2.1 (an echo) on another; service at `vip`. */
export async function scene(test: Test): Promise<Scene> {
  const world = await PlaneWorld.create()
  const near = world.host()
  const far = world.host()
  test.teardown(() => world.close())
  const models = {
    client: workload('client', '10.0.1.1'),
    other: workload('other', '10.0.1.2'),
    server: workload('server', server.address, { services: [memberOf('server', vip.port, port)] }),
  }
  world.apply([...Object.values(models), service('server', vip.address, vip.port)])
  await world.serve(near, models.client)
  await world.serve(near, models.other)
  await world.serve(far, models.server)
  const callers: string[] = []
  const application = await world.sockets.serve(server, (socket) => {
    callers.push(socket.remoteAddress ?? '')
    echoing(socket)
  })
  return { world, near, far, callers, application }
}

/** An application that sends back what it gets. */
export function echoing(socket: net.Socket): void {
  socket.on('error', () => {})
  socket.pipe(socket)
}

/** Sends and reads back. */
export async function echo(socket: net.Socket, text: string): Promise<string> {
  socket.write(text)
  return await readExactly(socket, text.length)
}
