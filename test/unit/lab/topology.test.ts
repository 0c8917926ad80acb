import fc from 'fast-check'
import t from 'tap'
import { stringify } from 'yaml'
import type { MeshError } from '../../../core/base/errors.ts'
import { parseTopology, readTopology } from '../../../lab/topology.ts'

t.test('the example of DESIGN is understood', async (t) => {
  const text = `
hosts: [h1, h2, h3]
workloads:                       # each gets its own network namespace and address on its host
- {name: orders-v1, namespace: shop, serviceAccount: orders, host: h2, labels: {app: orders, version: v1}, echo: {}}
- {name: client, namespace: shop, serviceAccount: frontend, host: h1, labels: {app: frontend}, run: sleep infinity}
`
  t.same(parseTopology(text, 'topology.yaml'), {
    hosts: ['h1', 'h2', 'h3'],
    workloads: [
      {
        name: 'orders-v1',
        namespace: 'shop',
        serviceAccount: 'orders',
        host: 'h2',
        labels: { app: 'orders', version: 'v1' },
        ports: {},
        process: { kind: 'echo' },
      },
      {
        name: 'client',
        namespace: 'shop',
        serviceAccount: 'frontend',
        host: 'h1',
        labels: { app: 'frontend' },
        ports: {},
        process: { kind: 'command', command: 'sleep infinity' },
      },
    ],
  })
})

t.test('namespace and service account default, and a workload may be idle', async (t) => {
  const { workloads } = parseTopology('hosts: [a]\nworkloads: [{name: w, host: a}]', 'x')
  t.match(workloads[0], { namespace: 'default', serviceAccount: 'default', process: { kind: 'idle' } })
})

t.test('every problem is told with its file, line and column, all together', async (t) => {
  const text = [
    'hosts: [h1, h1, wire, H2]',
    'workloads:',
    '- {name: a, host: h9, run: sleep 1, echo: {}}',
    '- {nam: b, host: h1}',
    '- {name: c, host: h1, labels: {version: 1}, ports: {http: 99999}, weight: -1}',
    '- {name: d, host: h1, cgroup: /x}',
    '- {name: e, host: h1}',
    '- {name: e, host: h1}',
    'waypoints:',
    '- {name: wp, host: h1, replicas: 0}',
    '- {name: e, host: h9}',
  ].join('\n')
  const error = await t.rejects(async () => parseTopology(text, 'top.yaml'), { code: 'CONFIG_INVALID' })
  const lines = (error as MeshError).message.split('\n')
  const expected = [
    /^top.yaml:1:13: hosts\[1\]: host "h1" is listed twice/,
    /^top.yaml:1:17: hosts\[2\]: "wire" names the network/,
    /^top.yaml:1:23: hosts\[3\]: expected a host name/,
    /^top.yaml:3:19: workloads\[0\].host: no such host "h9"; hosts are h1/,
    /^top.yaml:3:28: workloads\[0\].run: give either `echo` or `run`/,
    /^top.yaml:4:4: workloads\[1\].nam: unknown field; did you mean "name"/,
    /^top.yaml:4:3: workloads\[1\].name: is required/,
    /^top.yaml:5:41: workloads\[2\].labels.version: expected a label value .*; found 1 \(write it in quotes\)/,
    /^top.yaml:5:59: workloads\[2\].ports.http: expected a port/,
    /^top.yaml:5:75: workloads\[2\].weight: expected a whole number/,
    /^top.yaml:6:23: workloads\[3\].cgroup: host capture by cgroup is not built yet/,
    /^top.yaml:8:3: workloads\[5\]: workload "e.default" is listed twice/,
    /^top.yaml:10:34: waypoints\[0\].replicas: expected a whole number from 1 to 20/,
    /^top.yaml:11:19: waypoints\[1\].host: no such host "h9"/,
    /^top.yaml:11:3: waypoints\[1\]: "e.default" is the name of another waypoint or workload/,
  ]
  for (const pattern of expected)
    t.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern} in\n${lines.join('\n')}`,
    )
  t.equal(lines.length, expected.length)
})

t.test('what is no YAML, no map or has no hosts is refused', async (t) => {
  for (const text of ['hosts: [a', 'just text', '', 'hosts: []', 'hosts: h1', '[]']) {
    t.throws(() => parseTopology(text, 'f'), { code: 'CONFIG_INVALID', message: /^f:\d+:\d+: / }, JSON.stringify(text))
  }
})

t.test('no text makes the parser throw anything but its own error', async () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.boolean(),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(
        fc.constantFrom(
          'hosts',
          'workloads',
          'waypoints',
          'replicas',
          'name',
          'host',
          'labels',
          'ports',
          'echo',
          'run',
        ),
        tie('any'),
      ),
    ),
  })).any
  fc.assert(fc.property(value, (tree) => void readTopology(stringify(tree))))
  fc.assert(fc.property(fc.string(), (text) => void readTopology(text)))
})
