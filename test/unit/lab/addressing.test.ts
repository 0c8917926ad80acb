import t from 'tap'
import { labNamePattern, networkSteps, placesOf, planLab } from '../../../lab/addressing.ts'
import { parseTopology } from '../../../lab/topology.ts'

const hosts = Array.from({ length: 12 }, (_, index) => `host-${index + 1}`)
const workloads = hosts.flatMap((host) => [
  { name: `first-${host}`, namespace: 'shop', host },
  { name: `second-${host}`, namespace: 'bank', host },
])
const waypoints = [
  { name: 'wp', namespace: 'shop', host: 'host-2', replicas: 3 },
  { name: 'wp', namespace: 'bank', host: 'host-2' },
]
const plan = planLab('lab', parseTopology(JSON.stringify({ hosts, workloads, waypoints }), 'x'))

t.test('every address and every namespace name is given once', async (t) => {
  const addresses = [...plan.hosts, ...placesOf(plan), plan.wire].flatMap((part) => part.addresses)
  t.equal(new Set(addresses).size, addresses.length)
  const names = [plan.wire, ...plan.hosts, ...placesOf(plan)].map((part) => part.netns)
  t.equal(new Set(names).size, names.length)
  t.ok(names.every((name) => name.startsWith('cv-lab-')))
})

t.test('names of links fit the kernel', async (t) => {
  const links = [...plan.hosts.map((host) => host.wirePort), ...placesOf(plan).map((place) => place.hostLink)]
  t.ok(links.every((link) => link.length <= 15))
})

t.test('no link is made outside the namespaces of the lab', async (t) => {
  const names = new Set([plan.wire, ...plan.hosts, ...placesOf(plan)].map((part) => part.netns))
  for (const step of networkSteps(plan)) {
    t.ok(names.has(step.netns))
    for (const command of step.commands) {
      const peer = / netns (\S+)/.exec(command)?.[1]
      t.ok(peer === undefined || names.has(peer), command)
    }
  }
})

t.test('the prefix of one lab is never the beginning of another', async (t) => {
  t.notOk(labNamePattern.test('a-b'))
  t.notOk(labNamePattern.test(''))
  t.notOk(labNamePattern.test('../x'))
  t.ok(labNamePattern.test('lab2'))
})

t.test('a waypoint has a place of its own behind its host; replicas are numbered, one alone is not', (t) => {
  t.same(
    plan.waypoints.map(({ name, namespace, gateway, netns }) => [name, namespace, gateway, netns]),
    [
      ['wp-1', 'shop', 'wp', 'cv-lab-wp-1.shop'],
      ['wp-2', 'shop', 'wp', 'cv-lab-wp-2.shop'],
      ['wp-3', 'shop', 'wp', 'cv-lab-wp-3.shop'],
      ['wp', 'bank', 'wp', 'cv-lab-wp.bank'],
    ],
  )
  const step = networkSteps(plan).find(({ netns }) => netns === 'cv-lab-wp.bank')
  t.ok(step?.commands.some((command) => command.includes('10.88.2.6/32')))
  t.end()
})
