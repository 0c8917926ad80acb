import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import { compile } from '../../../control/compile/compile.ts'
import { authorize } from '../../../core/decide/authorize.ts'
import type { Condition, MeshObject } from '../../../core/model/resource.ts'
import { Snapshot } from '../../../core/model/snapshot.ts'
import type { Authorization, Workload } from '../../../core/model/types.ts'
import { entry, policy, service, settings } from '../../helpers/compile-objects.ts'

function authorization(object: MeshObject): Authorization | undefined {
  const found = compile([object], settings).resources.find((resource) => resource.kind === 'Authorization')
  return found?.value as Authorization | undefined
}

function conditions(object: MeshObject): readonly Condition[] {
  const { namespace, name } = object.metadata
  return compile([object], settings).conditions.get(`AuthorizationPolicy.security.istio.io ${namespace}/${name}`) ?? []
}

const from = (source: object) => ({ from: [{ source }] })
const to = (operation: object) => ({ to: [{ operation }] })

t.test('a DENY of the whole alias denies the own trust domain, whatever that is called', async (t) => {
  const rule = from({ principals: ['cluster.local*'] })
  const compiled = authorization(policy('deny', { action: 'DENY', rules: [rule] }))
  t.same(compiled?.rules[0]?.clauses, [[{ principals: [{ kind: 'prefix', value: 'td.example/' }] }]])
})

t.test('rules become clauses: from, to and each when', async (t) => {
  const cases: readonly [string, object, object][] = [
    ['the empty rule has no clause', {}, []],
    [
      'principals, with the alias of the own trust domain and all patterns',
      from({ principals: ['cluster.local/ns/a/sa/b', 'other/ns/a/sa/b', '*', 'cluster.local/ns/a/*', '*/sa/b'] }),
      [
        [
          {
            principals: [
              { kind: 'exact', value: 'td.example/ns/a/sa/b' },
              { kind: 'exact', value: 'other/ns/a/sa/b' },
              { kind: 'presence' },
              { kind: 'prefix', value: 'td.example/ns/a/' },
              { kind: 'suffix', value: '/sa/b' },
            ],
          },
        ],
      ],
    ],
    [
      'namespaces and addresses with their opposites',
      from({ namespaces: ['a*'], notNamespaces: ['ab'], ipBlocks: ['10.0.0.0/8'], notIpBlocks: ['10.1.0.1'] }),
      [
        [
          {
            namespaces: [{ kind: 'prefix', value: 'a' }],
            notNamespaces: [{ kind: 'exact', value: 'ab' }],
            sourceIps: ['10.0.0.0/8'],
            notSourceIps: ['10.1.0.1'],
          },
        ],
      ],
    ],
    [
      'service accounts of the own namespace',
      from({ serviceAccounts: ['sa', 'other/sa'], notServiceAccounts: ['x'] }),
      [[{ serviceAccounts: ['shop/sa', 'other/sa'], notServiceAccounts: ['shop/x'] }]],
    ],
    [
      'several sources are alternatives, source and operation both count',
      {
        from: [{ source: { namespaces: ['a'] } }, { source: { namespaces: ['b'] } }],
        ...to({ ports: ['80', '443'], notPorts: ['81'] }),
      },
      [
        [{ namespaces: [{ kind: 'exact', value: 'a' }] }, { namespaces: [{ kind: 'exact', value: 'b' }] }],
        [{ destinationPorts: [80, 443], notDestinationPorts: [81] }],
      ],
    ],
    [
      'each condition is a clause',
      {
        when: [
          { key: 'source.ip', values: ['10.0.0.1'], notValues: ['10.0.0.2'] },
          { key: 'source.namespace', notValues: ['x'] },
          { key: 'source.principal', values: ['*'] },
          { key: 'source.serviceAccount', values: ['sa'] },
          { key: 'destination.ip', values: ['10.0.0.0/8'] },
          { key: 'destination.port', values: ['80'], notValues: ['81'] },
        ],
      },
      [
        [{ sourceIps: ['10.0.0.1'], notSourceIps: ['10.0.0.2'] }],
        [{ notNamespaces: [{ kind: 'exact', value: 'x' }] }],
        [{ principals: [{ kind: 'presence' }] }],
        [{ serviceAccounts: ['shop/sa'] }],
        [{ destinationIps: ['10.0.0.0/8'] }],
        [{ destinationPorts: [80], notDestinationPorts: [81] }],
      ],
    ],
  ]
  for (const [name, rule, clauses] of cases) {
    t.strictSame(authorization(policy('p', { rules: [rule] }))?.rules, [{ index: 0, clauses }], name)
  }
})

t.test('the scope is mesh, namespace or workload, by namespace and selector', async (t) => {
  const selector = { matchLabels: { app: 'a' } }
  const cases: readonly [string, object, string][] = [
    ['shop', {}, 'namespace'],
    ['shop', { selector: {} }, 'namespace'],
    ['shop', { selector: { matchLabels: {} } }, 'namespace'],
    ['shop', { selector }, 'workload'],
    ['culvert-system', {}, 'mesh'],
    ['istio-system', {}, 'mesh'],
    ['culvert-system', { selector }, 'workload'],
  ]
  for (const [namespace, spec, scope] of cases) {
    t.equal(authorization(policy('p', spec, { namespace }))?.scope, scope, `${namespace} ${JSON.stringify(spec)}`)
  }
})

t.test('a selector finds workloads of its namespace, one of the root namespace those of all', async (t) => {
  const selector = { matchLabels: { app: 'a' } }
  const objects = [
    policy('own', { selector }),
    policy('root', { selector }, { namespace: 'culvert-system' }),
    policy('wide', {}),
    entry('a', { address: '10.0.0.1', labels: { app: 'a' } }),
    entry('b', { address: '10.0.0.2', labels: { app: 'b' } }),
    entry('c', { address: '10.0.0.3', labels: { app: 'a' } }, { namespace: 'other' }),
  ]
  const keys = Object.fromEntries(
    compile(objects, settings).resources.flatMap((r) =>
      r.kind === 'Workload' ? [[r.value.name, r.value.authorizations]] : [],
    ),
  )
  t.strictSame(keys, { a: ['culvert-system/root', 'shop/own'], b: [], c: ['culvert-system/root'] })
})

t.test('an ALLOW rule that needs layer 7 is taken out, and the policy says so and still stands', async (t) => {
  const object = policy('p', { rules: [to({ ports: ['80'], methods: ['GET'] }), from({ namespaces: ['a'] })] })
  t.match(authorization(object), { action: 'ALLOW', rules: [{ index: 1 }] })
  const only = authorization(policy('p', { rules: [to({ paths: ['/x'] })] }))
  t.strictSame(only?.rules, [])
  const found = conditions(object)
  t.match(found[0], { type: 'Accepted', status: 'True' })
  t.match(
    found.find(({ type }) => type === 'FullyEnforced'),
    {
      status: 'False',
      reason: 'LayerSevenFields',
      message: /^rules\[0\]\.to\[0\]\.operation\.methods: .* allows nothing/,
    },
  )
})

t.test('a DENY rule that needs layer 7 denies without the condition', async (t) => {
  const deny = (rule: object) => authorization(policy('p', { action: 'DENY', rules: [rule] }))?.rules[0]?.clauses
  t.strictSame(deny(to({ ports: ['80'], paths: ['/admin'] })), [[{ destinationPorts: [80] }]])
  t.strictSame(deny(to({ paths: ['/admin'] })), [[{}]])
  t.strictSame(deny({ when: [{ key: 'request.headers[x]', values: ['1'] }] }), [])
  t.strictSame(deny({ ...from({ namespaces: ['a'] }), ...to({ methods: ['GET'] }) }), [
    [{ namespaces: [{ kind: 'exact', value: 'a' }] }],
    [{}],
  ])
})

t.test('CUSTOM denies what it matches, AUDIT decides nothing, dry-run is marked; each says so', async (t) => {
  const custom = policy('p', { action: 'CUSTOM', provider: { name: 'x' }, rules: [from({ namespaces: ['a'] })] })
  t.match(authorization(custom), { action: 'DENY', rules: [{ index: 0 }] })
  t.match(
    conditions(custom).find(({ type }) => type === 'FullyEnforced'),
    { reason: 'Custom' },
  )
  const audit = policy('p', { action: 'AUDIT', rules: [{}] })
  t.equal(authorization(audit), undefined)
  t.match(
    conditions(audit).find(({ type }) => type === 'FullyEnforced'),
    { reason: 'Audit' },
  )
  const dryRun = policy('p', { rules: [{}] }, { annotations: { 'istio.io/dry-run': 'true' } })
  t.equal(authorization(dryRun)?.dryRun, true)
  t.equal(authorization(policy('p', {}))?.dryRun, false)
  t.match(
    conditions(dryRun).find(({ type }) => type === 'FullyEnforced'),
    { reason: 'DryRun' },
  )
})

t.test(
  'a policy for the waypoint of a Service holds at layer 4 for its workloads, any other target for the namespace',
  async (t) => {
    const orders = service('orders', { selector: { app: 'a' }, ports: [{ port: 80 }], clusterIP: '240.240.0.1' })
    const entries = [
      entry('a', { address: '10.0.0.1', labels: { app: 'a' } }),
      entry('b', { address: '10.0.0.2', labels: { app: 'b' } }),
    ]
    const target = (kind: string) => policy('p', { targetRefs: [{ kind, group: '', name: 'orders' }] })
    const result = compile([orders, ...entries, target('Service')], settings).resources
    t.match(
      result.find((r) => r.kind === 'Authorization'),
      { value: { scope: 'workload' } },
    )
    const lists = result.flatMap((r) => (r.kind === 'Workload' ? [[r.value.name, r.value.authorizations]] : []))
    t.strictSame(lists, [
      ['a', ['shop/p']],
      ['b', []],
    ])
    t.equal(authorization(target('Gateway'))?.scope, 'namespace')
    t.match(
      conditions(target('Gateway')).find(({ type }) => type === 'FullyEnforced'),
      { reason: 'NoWaypoint' },
    )
  },
)

t.test('the sample policy lets service-a reach service-b and nobody else, plaintext included', async (t) => {
  const text = await readFile(new URL('../../../examples/authorization-policy.yaml', import.meta.url), 'utf8')
  const sample = parse(text) as MeshObject
  const object = { ...sample, metadata: { ...sample.metadata, namespace: 'default' } }
  const b = entry('b', { address: '10.0.0.2', labels: { app: 'service-b' } }, { namespace: 'default' })
  const snapshot = new Snapshot()
  const upserts = compile([object, b], settings).resources
  t.strictSame(snapshot.apply({ epoch: 'e', version: 1, full: true, upserts, removes: [] }), [])
  const workload = snapshot.workloadByAddress('10.0.0.2') as Workload
  const ask = (serviceAccount: string | undefined) =>
    authorize(snapshot, {
      identity: serviceAccount && { trustDomain: 'td.example', namespace: 'default', serviceAccount },
      sourceAddress: '10.0.0.1',
      destinationAddress: '10.0.0.2',
      destinationPort: 8080,
      workload,
    } as Parameters<typeof authorize>[1]).allowed
  t.equal(ask('service-a'), true)
  t.equal(ask('service-c'), false)
  t.equal(ask(undefined), false)
})
