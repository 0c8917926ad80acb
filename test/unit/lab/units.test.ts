import t from 'tap'
import { validateObject } from '../../../core/model/validate.ts'
import { planLab } from '../../../lab/addressing.ts'
import { labPaths } from '../../../lab/state.ts'
import { allUnits } from '../../../lab/units.ts'
import { missingGateways } from '../../../lab/waypoints.ts'

const plan = planLab('x', { hosts: ['h1', 'h2'], workloads: [] })
const paths = labPaths({ name: 'x', stateDir: '/nowhere' })

t.test('more environment reaches the process that it is for, and no other', (t) => {
  const units = allUnits(plan, paths, { logLevel: 'warn', environment: { 'daemon@h2': { CULVERT_WORKERS: '2' } } })
  t.same(
    units.map(({ name, environment }) => [name, environment['CULVERT_WORKERS'], environment['CULVERT_LOG_LEVEL']]),
    [
      ['control', undefined, 'warn'],
      ['daemon@h1', undefined, 'warn'],
      ['agent@h1', undefined, 'warn'],
      ['daemon@h2', '2', 'warn'],
      ['agent@h2', undefined, 'warn'],
    ],
  )
  t.end()
})

t.test('a waypoint of the topology is a process in its own namespace that waits for its token', (t) => {
  const topology = {
    hosts: ['h1'],
    workloads: [],
    waypoints: [{ name: 'wp', namespace: 'shop', host: 'h1', replicas: 1 }],
  }
  const units = allUnits(planLab('x', topology), paths, { logLevel: 'warn', drainTimeout: '3s' })
  const unit = units.find(({ name }) => name === 'waypoint@wp.shop')
  const words = unit?.command.join(' ') ?? ''
  t.match(words, /^nsenter --net=\/run\/netns\/cv-x-wp\.shop /)
  t.match(
    words,
    / waypoint --name shop\/wp --instance wp --address 10\.88\.1\.1,fd88:0:0:1::1 --control 10\.88\.0\.254:15012 /,
  )
  t.match(words, / --drain-timeout 3s$/)
  t.equal(unit?.startWhen, '/nowhere/x/hosts/wp.shop/token')
  t.equal(unit?.environment['CULVERT_LOG_LEVEL'], 'warn')
  t.end()
})

t.test('a Gateway is made for each waypoint that the resources do not have one for', (t) => {
  const both = [
    { name: 'wp', namespace: 'shop', host: 'h1', replicas: 2 },
    { name: 'wp', namespace: 'bank', host: 'h1', replicas: 1 },
  ]
  const twice = planLab('x', { hosts: ['h1'], workloads: [], waypoints: both })
  const own = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { namespace: 'bank', name: 'wp' },
  }
  const made = missingGateways(twice, [own])
  t.match(made, [{ metadata: { namespace: 'shop', name: 'wp' }, spec: { gatewayClassName: 'culvert-waypoint' } }])
  t.equal(made.length, 1)
  t.same(
    made.flatMap((object) => validateObject(object)),
    [],
  )
  t.end()
})
