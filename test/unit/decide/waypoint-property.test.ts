// What route does at the source and what authorize asks at the destination fit together, whatever is declared.
import fc from 'fast-check'
import t from 'tap'
import { authorize, type Verdict } from '../../../core/decide/authorize.ts'
import { callerOf } from '../../../core/decide/inbound.ts'
import { route } from '../../../core/decide/route.ts'
import { serviceKey } from '../../../core/model/snapshot.ts'
import type { Service, Workload } from '../../../core/model/types.ts'
import { service, snapshotOf, workload } from '../../helpers/model.ts'
import { instance, waypoint } from '../../helpers/waypoint-model.ts'

const names = ['w0', 'w1', 'w2']
const keyOf = (name: string) => `shop/${name}.shop.svc.cluster.local`

const gateways = fc.tuple(
  ...names.map((name) =>
    fc.record({
      name: fc.constant(name),
      known: fc.integer({ min: 0, max: 9 }).map((draw) => draw > 0),
      instances: fc.integer({ min: 0, max: 2 }),
      behind: fc.option(fc.constantFrom(...names), { nil: undefined }),
      gateway: fc.record({
        takes: fc.constantFrom('service' as const, 'workload' as const, 'all' as const),
        whenUnreachable: fc.constantFrom('refuse' as const, 'bypass' as const),
        bypass: fc.constantFrom('refused' as const, 'allowed' as const),
      }),
    }),
  ),
)
const services = fc.array(
  fc.record({
    waypoint: fc.option(fc.constantFrom(...names), { nil: undefined }),
    headless: fc.boolean(),
    /** Whether the workload serves it at 8080, at 9090, or nobody knows where. */
    port: fc.constantFrom(8080, 9090, undefined),
  }),
  { maxLength: 3 },
)

const world = fc.record({
  gateways,
  services,
  own: fc.option(fc.constantFrom(...names), { nil: undefined }),
  /** Who connects: somebody, or an instance of a waypoint. */
  source: fc.constantFrom('somebody', ...names),
  /** A service by its number, or a port of the workload. */
  to: fc.constantFrom(0, 1, 2, 8080, 9090),
})

type World = typeof world extends fc.Arbitrary<infer Value> ? Value : never

function build(spec: World) {
  const waypoints = spec.gateways.flatMap(({ name, known, instances, behind, gateway }, at): (Service | Workload)[] => {
    const fields = { name, hostname: `${name}.shop.svc.cluster.local`, vips: [`240.240.9.${at}`] }
    const value = waypoint(gateway, behind === undefined ? fields : { ...fields, waypoint: keyOf(behind) })
    const made = Array.from({ length: instances }, (_, index) => {
      const own = { name: `${name}-${index}`, addresses: [`10.0.${5 + at}.${index + 1}`] }
      return instance(behind === undefined ? own : { ...own, waypoint: keyOf(behind) }, value)
    })
    return known ? [value, ...made] : made
  })
  const plain = spec.services.map(({ waypoint: named, headless }, at) => {
    const fields = { name: `s${at}`, vips: headless ? [] : [`240.240.0.${at + 1}`], headless }
    return service(named === undefined ? fields : { ...fields, waypoint: keyOf(named) })
  })
  const memberships = plain.map((each, at) => {
    const port = spec.services[at]?.port
    return { service: serviceKey(each), ports: port === undefined ? {} : { 80: port } }
  })
  const called = workload({ services: memberships, ...(spec.own === undefined ? {} : { waypoint: keyOf(spec.own) }) })
  const somebody = workload({ name: 'client', serviceAccount: 'client', addresses: ['10.0.9.9'] })
  const source = spec.source === 'somebody' ? somebody : { ...somebody, serviceAccount: spec.source }
  return { snapshot: snapshotOf(called, somebody, ...plain, ...waypoints), called, source }
}

const denied = (verdict: Verdict): boolean => !verdict.allowed && verdict.policy.startsWith('waypoint ')

t.test('what a source sends its destination takes, unless going around was asked for and is refused', async (t) => {
  const met = { direct: 0, through: 0, refused: 0 }
  fc.assert(
    fc.property(world, (spec) => {
      const { snapshot, called, source } = build(spec)
      const destination =
        spec.to > 2 ? { address: '10.0.0.1', port: spec.to } : { address: `240.240.0.${spec.to + 1}`, port: 80 }
      const decision = route(snapshot, { source, destination, random: () => 0 })
      if (decision.kind === 'refuse') {
        met.refused += 1
        return ['NO_ENDPOINT', 'UNKNOWN_PORT'].includes(decision.error.code)
      }
      if (decision.kind !== 'tunnel') return false
      const arrival = { sourceAddress: '10.0.9.9', destinationAddress: '10.0.0.1', workload: called }
      if (decision.waypoint === undefined) {
        met.direct += 1
        const verdict = authorize(snapshot, { ...arrival, identity: source, destinationPort: decision.target.port })
        const away = spec.gateways.some(
          ({ instances, gateway }) => instances === 0 && gateway.whenUnreachable === 'bypass',
        )
        return away || !denied(verdict)
      }
      met.through += 1
      const identity = decision.workload
      const viaAddress = decision.peer.address
      const claim = { identity: source, source: { address: '10.0.9.9', port: 1 } }
      const ports = decision.target.address === '10.0.0.1' ? [decision.target.port] : [spec.services[spec.to]?.port]
      return ports.every((port) => {
        if (port === undefined) return true
        const caller = callerOf(snapshot, { workload: called, port, identity, address: viaAddress, claim })
        const via = { via: identity, viaAddress }
        const verdict = authorize(snapshot, { ...arrival, ...via, identity: source, destinationPort: port })
        return caller.kind === 'passed' && verdict.allowed
      })
    }),
    { numRuns: 3_000 },
  )
  for (const [what, count] of Object.entries(met)) t.ok(count > 100, `${what} was met ${count} times`)
})
