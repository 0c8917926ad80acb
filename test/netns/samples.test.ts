// The sample AuthorizationPolicy of examples/, verbatim, through the real CLI: who is allowed, and what happens to connections
// that live while it is applied, changed and deleted.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { type MeshLab, meshLab } from '../helpers/mesh-lab.ts'
import { ask, Held, service } from '../helpers/scenario-world.ts'

const sample = fileURLToPath(new URL('../../examples/authorization-policy.yaml', import.meta.url))
const port = 8080
/** The promise: a connection that policy refuses is closed within this time. */
const closedMs = 1_000

const topology = `
hosts: [h1, h2]
workloads:
- {name: service-a, namespace: default, serviceAccount: service-a, host: h1, labels: {app: service-a}, echo: {}}
- {name: service-b, namespace: default, serviceAccount: service-b, host: h2, labels: {app: service-b}, echo: {}}
- {name: service-c, namespace: default, serviceAccount: service-c, host: h1, labels: {app: service-c}}
- {name: service-d, namespace: default, serviceAccount: service-d, host: h2, labels: {app: service-d}}
- {name: plain, namespace: open, serviceAccount: service-a, host: h1}
`
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {culvert.dev/dataplane-mode: ambient}}
---
${service('default', 'service-a', 'app: service-a', 'port: 8080')}
---
${service('default', 'service-b', 'app: service-b', 'port: 8080')}
`

t.setTimeout(120_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

const callers = ['default/service-a', 'default/service-c', 'default/service-d', 'open/plain'] as const
type Caller = (typeof callers)[number]

/** Where each caller finds service-b: a workload outside the mesh knows no virtual address. */
function target(mesh: MeshLab, caller: Caller) {
  const address = caller === 'open/plain' ? mesh.address('default/service-b') : mesh.vip('default/service-b')
  return { address, port }
}

/** New connections by virtual and by workload address: only `allowed` are answered. */
async function onlyAllowed(t: Test, mesh: MeshLab, allowed: readonly Caller[]): Promise<void> {
  for (const caller of callers) {
    const kind = allowed.includes(caller) ? 'answered' : 'refused'
    t.match(await ask(mesh, caller, target(mesh, caller)), { kind }, `${caller} is ${kind}`)
    const direct = { address: mesh.address('default/service-b'), port }
    t.match(await ask(mesh, caller, direct), { kind }, `${caller} is ${kind} at the workload's address`)
  }
}

class Lives {
  readonly #held: ReadonlyMap<Caller, Held>
  readonly #elsewhere: Held

  private constructor(held: ReadonlyMap<Caller, Held>, elsewhere: Held) {
    this.#held = held
    this.#elsewhere = elsewhere
  }

  /** Opens a connection of each caller to service-b, and one of service-c to service-a, which no policy concerns. */
  static async open(mesh: MeshLab, who: readonly Caller[]): Promise<Lives> {
    const held = new Map<Caller, Held>()
    for (const caller of who) held.set(caller, new Held(await mesh.open(caller, target(mesh, caller))))
    const elsewhere = new Held(await mesh.open('default/service-c', { address: mesh.vip('default/service-a'), port }))
    const lives = new Lives(held, elsewhere)
    for (const one of [...held.values(), elsewhere]) if (!(await one.works())) throw new Error('it does not answer')
    return lives
  }

  /** After a change: connections of `closed` are gone in time, all others still answer. */
  async check(t: Test, closed: readonly Caller[], since: number): Promise<void> {
    for (const caller of closed) {
      await this.#held.get(caller)!.closesWithin(5_000)
      const afterMs = performance.now() - since
      t.ok(afterMs <= closedMs, `${caller} was closed after ${Math.round(afterMs)} ms`)
    }
    for (const [caller, held] of this.#held) {
      if (!closed.includes(caller)) t.ok(await held.works(), `${caller} goes on`)
    }
    t.ok(await this.#elsewhere.works(), 'a connection to another workload goes on')
  }

  close(): void {
    for (const held of [...this.#held.values(), this.#elsewhere]) held.socket.destroy()
  }
}

t.test('the sample AuthorizationPolicy', async (t) => {
  const mesh = await meshLab({ name: 'samples', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  const changed = join(stateDir, 'changed.yaml')
  writeFileSync(changed, readFileSync(sample, 'utf8').replace('sa/service-a', 'sa/service-c'))

  await t.test('before it everybody is allowed', (t) => onlyAllowed(t, mesh, callers))

  await t.test('applied verbatim by the CLI it closes what it refuses within one second, and only that', async (t) => {
    const lives = await Lives.open(mesh, callers)
    t.match(await mesh.culvert('apply', '-f', sample), /authorizationpolic.*allow-service-a-to-b.* created/)
    await lives.check(t, ['default/service-c', 'default/service-d', 'open/plain'], performance.now())
    lives.close()
    await onlyAllowed(t, mesh, ['default/service-a'])
    t.match(await mesh.culvert('apply', '-f', sample), /unchanged/)
  })

  await t.test(
    'changed to another principal it closes the connection that it now refuses within one second',
    async (t) => {
      const lives = await Lives.open(mesh, ['default/service-a'])
      t.match(await mesh.culvert('apply', '-f', changed), /configured/)
      await lives.check(t, ['default/service-a'], performance.now())
      lives.close()
      await onlyAllowed(t, mesh, ['default/service-c'])
    },
  )

  await t.test('changed over the API, from the moment of the request, within one second', async (t) => {
    const lives = await Lives.open(mesh, ['default/service-c'])
    const since = performance.now()
    const applied = mesh.apply(readFileSync(sample, 'utf8').replace('metadata:', 'metadata:\n  namespace: default'))
    await lives.check(t, ['default/service-c'], since)
    lives.close()
    await applied
    await onlyAllowed(t, mesh, ['default/service-a'])
  })

  await t.test('deleted it leaves open connections alone and allows everybody again', async (t) => {
    const lives = await Lives.open(mesh, ['default/service-a'])
    await mesh.culvert('delete', '-f', sample)
    await mesh.converge()
    await onlyAllowed(t, mesh, callers)
    await lives.check(t, [], performance.now())
    lives.close()
  })
})
