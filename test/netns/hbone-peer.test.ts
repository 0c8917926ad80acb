// test/hbone-peer against a real daemon, from a place that the mesh does not capture: every case passes, in a workload's own
// namespace, with a certificate of the mesh's authority.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { execInWorkload } from '../../lab/exec.ts'
import { meshLab } from '../helpers/mesh-lab.ts'
import { service } from '../helpers/scenario-world.ts'

const command = fileURLToPath(new URL('../hbone-peer', import.meta.url))
const echo = `require('net').createServer({allowHalfOpen: true}, (s) => s.on('error', () => {}).pipe(s)).listen(7000, '::')`

const topology = JSON.stringify({
  hosts: ['h1', 'h2'],
  workloads: [
    {
      ...{ name: 'server', namespace: 'shop', serviceAccount: 'server', host: 'h2', labels: { app: 'server' } },
      run: `exec ${process.execPath} -e "${echo}"`,
    },
    { name: 'outsider', namespace: 'open', serviceAccount: 'outsider', host: 'h1' },
  ],
})
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {culvert.dev/dataplane-mode: ambient}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: not-here, namespace: shop}
spec: {action: DENY, rules: [{to: [{operation: {ports: ["9"]}}]}]}
---
${service('shop', 'server', 'app: server', 'port: 7000')}
`

t.setTimeout(240_000)
const stateDir = t.testdir({})

t.test('a real daemon passes every case, over IPv4 and IPv6', async (t) => {
  const mesh = await meshLab({ name: 'peer', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  for (const address of mesh.workload('shop/server').addresses) {
    const at = (port: number) => (address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`)
    const authority = join(mesh.lab.paths.controlState, 'ca')
    const words = [
      ...['--peer', at(15008), '--authority', at(7000), '--refused-authority', at(7001), '--denied-authority', at(9)],
      ...['--ca', join(authority, 'root.pem'), '--ca-key', join(authority, 'issuing.pem')],
      ...['--expect-identity', 'spiffe://cluster.local/ns/shop/sa/server', '-o', 'json'],
    ]
    const { stdout, stderr } = await execInWorkload(mesh.lab.selector, 'outsider.open', [command, ...words], {
      timeoutMs: 120_000,
    })
    t.equal(stderr, '')
    const { passed, failed, allowed, notRun, results } = JSON.parse(stdout)
    const bad = results.filter(({ outcome }: { outcome: string }) => outcome !== 'passed')
    t.same({ failed, allowed, notRun }, { failed: 0, allowed: 0, notRun: 0 }, JSON.stringify(bad, null, 1))
    t.ok(passed > 100)
  }
})
