// Scenarios: AuthorizationPolicy and PeerAuthentication, applied and changed while connections are open.
import { ask, Held, type Scenario, type World } from './scenario-world.ts'

interface Policy {
  readonly name: string
  readonly namespace?: string
  readonly spec: string
}

function policy({ name, namespace = 'mesh', spec }: Policy): string {
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`
}

function peerAuthentication(namespace: string, spec: string): string {
  return `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: ${namespace}}\nspec: ${spec}\n`
}

async function during(world: World, manifests: string, work: () => Promise<void>): Promise<void> {
  await world.apply(manifests)
  try {
    await work()
  } finally {
    await world.remove(manifests)
  }
}

const onServer = 'selector: {matchLabels: {app: server}}'
const clientPrincipal = 'cluster.local/ns/mesh/sa/client'
const allowClient = policy({
  name: 'allow-client',
  spec: `{${onServer}, rules: [{from: [{source: {principals: ["${clientPrincipal}"]}}]}]}`,
})

/** Whether each caller is answered by mesh/server: [client, other, plaintext client]. */
async function verdicts(world: World): Promise<readonly boolean[]> {
  const server = { address: world.address('mesh/server'), port: 8080 }
  const answers = []
  for (const from of ['mesh/client', 'mesh/other', 'open/client']) answers.push(await ask(world, from, server))
  return answers.map((answer) => answer.kind === 'answered')
}

export const scenariosOfPolicy: readonly Scenario[] = [
  {
    name: 'without a policy everybody is allowed, in plaintext too',
    run: async (t, world) => {
      t.same(await verdicts(world), [true, true, true])
    },
  },
  {
    name: 'STRICT refuses plaintext and takes the tunnel',
    run: async (t, world) => {
      await during(world, peerAuthentication('mesh', '{mtls: {mode: STRICT}}'), async () => {
        t.same(await verdicts(world), [true, true, false])
      })
    },
  },
  {
    name: 'a STRICT workload with a PERMISSIVE port takes plaintext there',
    run: async (t, world) => {
      const spec = `{${onServer}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: PERMISSIVE}}}`
      await during(world, peerAuthentication('mesh', spec), async () => {
        t.same(await verdicts(world), [true, true, true])
      })
    },
  },
  {
    name: 'an ALLOW policy admits the named principal and denies everybody else by default',
    run: async (t, world) => {
      await during(world, allowClient, async () => {
        t.same(await verdicts(world), [true, false, false])
      })
    },
  },
  {
    name: 'an ALLOW policy without rules denies all of its namespace',
    run: async (t, world) => {
      await during(world, policy({ name: 'allow-nothing', spec: '{}' }), async () => {
        t.same(await verdicts(world), [false, false, false])
      })
    },
  },
  {
    name: 'a mesh-wide DENY in the root namespace wins over an ALLOW',
    run: async (t, world) => {
      const deny = policy({
        name: 'deny-client',
        namespace: 'culvert-system',
        spec: `{action: DENY, rules: [{from: [{source: {principals: ["${clientPrincipal}"]}}]}]}`,
      })
      await during(world, `${allowClient}---\n${deny}`, async () => {
        t.same(await verdicts(world), [false, false, false])
      })
    },
  },
  {
    name: 'notPrincipals matches a plaintext caller',
    run: async (t, world) => {
      const deny = policy({
        name: 'deny-others',
        spec: `{${onServer}, action: DENY, rules: [{from: [{source: {notPrincipals: ["${clientPrincipal}"]}}]}]}`,
      })
      await during(world, deny, async () => {
        t.same(await verdicts(world), [true, false, false])
      })
    },
  },
  {
    name: 'namespaces, ports and address blocks of a policy decide',
    run: async (t, world) => {
      const block = world.address('open/client')
      const allow = policy({
        name: 'by-block',
        spec: `{${onServer}, rules: [
          {from: [{source: {ipBlocks: ["${block}/32"]}}], to: [{operation: {ports: ["8080"]}}]},
          {from: [{source: {namespaces: [mesh]}}], to: [{operation: {ports: ["9"]}}]}]}`,
      })
      await during(world, allow, async () => {
        t.same(await verdicts(world), [false, false, true])
      })
    },
  },
  {
    name: 'a rule that needs layer 7 fails closed',
    run: async (t, world) => {
      const denyPath = policy({
        name: 'deny-path',
        spec: `{${onServer}, action: DENY, rules: [{to: [{operation: {paths: ["/admin"]}}]}]}`,
      })
      await during(world, denyPath, async () => {
        t.same(await verdicts(world), [false, false, false])
      })
      const allowPath = policy({
        name: 'allow-path',
        spec: `{${onServer}, rules: [{to: [{operation: {paths: ["/who"]}}]}]}`,
      })
      await during(world, allowPath, async () => {
        t.same(await verdicts(world), [false, false, false])
      })
    },
  },
  {
    name: 'a policy change closes the connections that it now refuses within a second and no other',
    run: async (t, world) => {
      const server = { address: world.vip('mesh/server'), port: 8080 }
      const allowed = new Held(await world.open('mesh/client', server))
      const refused = new Held(await world.open('mesh/other', server))
      const plain = new Held(await world.open('open/client', { address: world.address('mesh/server'), port: 8080 }))
      for (const held of [allowed, refused, plain]) t.ok(await held.works(), 'works before the change')
      await during(world, allowClient, async () => {
        t.ok((await refused.closesWithin(1000)) <= 1000, 'the refused tunnel closes')
        t.ok((await plain.closesWithin(1000)) <= 1000, 'the plaintext connection closes')
        t.ok(await allowed.works(), 'the allowed one lives')
      })
      for (const held of [allowed, refused, plain]) held.socket.destroy()
    },
  },
]
