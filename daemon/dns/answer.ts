// What the mesh answers to a DNS question: records for its own names, or "ask the workload's nameservers". Pure; server.ts
// asks for every query. Records and TTLs follow the Kubernetes DNS specification 1.1.0.
import type { Answer } from 'dns-packet'
import { addressesOf, type Meaning, meaningOf, serving } from '../../core/decide/names.ts'
import { type Snapshot, serviceKey } from '../../core/model/snapshot.ts'
import type { Service, ServicePort, Workload } from '../../core/model/types.ts'
import { familyOf } from '../../core/net/address.ts'
import { type Question, type Rcode, recordClasses, recordTypes } from './wire.ts'

export type DnsDecision =
  | { readonly kind: 'forward' }
  | {
      readonly kind: 'answer'
      readonly rcode: Extract<Rcode, 'NOERROR' | 'NXDOMAIN' | 'REFUSED'>
      readonly answers: readonly Answer[]
      readonly authorities: readonly Answer[]
      readonly additionals: readonly Answer[]
    }

const ttlSeconds = 30
/** How long a name's absence may be remembered: short, since the next thing after a miss is often to create the service. */
const negativeTtlSeconds = 5

/** @param random [0, 1), turns the order of a headless service's endpoints */
export function answer(
  snapshot: Snapshot,
  workload: Pick<Workload, 'namespace'>,
  question: Pick<Question, 'name' | 'type' | 'class'>,
  random: () => number = Math.random,
): DnsDecision {
  const meaning = meaningOf(snapshot, workload.namespace, question.name.toLowerCase())
  if (meaning.kind === 'foreign') return { kind: 'forward' }
  if (question.class !== recordClasses.IN && question.class !== recordClasses.ANY) return decision('REFUSED')
  const negative = startOfAuthority(snapshot, question.name)
  if (meaning.kind === 'absent') return decision('NXDOMAIN', [], [negative])
  const answers = recordsOf(snapshot, meaning, question, random)
  if (answers.length === 0) return decision('NOERROR', [], [negative])
  return decision('NOERROR', answers, [], meaning.kind === 'port' ? targetsOf(snapshot, meaning.service) : [])
}

function decision(
  rcode: 'NOERROR' | 'NXDOMAIN' | 'REFUSED',
  answers: readonly Answer[] = [],
  authorities: readonly Answer[] = [],
  additionals: readonly Answer[] = [],
): DnsDecision {
  return { kind: 'answer', rcode, answers, authorities, additionals }
}

function recordsOf(
  snapshot: Snapshot,
  meaning: Exclude<Meaning, { kind: 'foreign' | 'absent' }>,
  { name, type }: Pick<Question, 'name' | 'type'>,
  random: () => number,
): readonly Answer[] {
  const wants = (wanted: number) => type === wanted || type === recordTypes.ANY
  switch (meaning.kind) {
    case 'zone':
      return []
    case 'service':
      return addressRecords(name, rotated(addressesOf(snapshot, meaning.service), random), wants)
    case 'endpoint':
      return addressRecords(name, meaning.workload.addresses, wants)
    case 'port':
      return wants(recordTypes.SRV) ? serviceRecords(snapshot, name, meaning.service, meaning.port) : []
    case 'reverse':
      return wants(recordTypes.PTR) ? [{ name, type: 'PTR', ttl: ttlSeconds, data: meaning.service.hostname }] : []
  }
}

function addressRecords(
  name: string,
  addresses: readonly string[],
  wants: (type: number) => boolean,
): readonly Answer[] {
  return addresses.flatMap((data): Answer[] => {
    const type = familyOf(data) === 'ipv4' ? 'A' : 'AAAA'
    return wants(recordTypes[type]) ? [{ name, type, ttl: ttlSeconds, data }] : []
  })
}

/** Clients that take the first address should not all take the same one. */
function rotated<T>(values: readonly T[], random: () => number): readonly T[] {
  const start = Math.floor(random() * values.length)
  return [...values.slice(start), ...values.slice(0, start)]
}

/** One SRV record for a service with virtual IPs, one per endpoint (with the endpoint's own port) for a headless one. */
function serviceRecords(snapshot: Snapshot, name: string, service: Service, port: ServicePort): readonly Answer[] {
  const record = (target: string, targetPort: number): Answer => {
    return { name, type: 'SRV', ttl: ttlSeconds, data: { priority: 0, weight: 100, port: targetPort, target } }
  }
  if (!service.headless) return [record(service.hostname, port.port)]
  const key = serviceKey(service)
  return serving(snapshot, service).flatMap((workload) => {
    const membership = workload.services.find((each) => each.service === key)
    const targetPort = membership?.ports[String(port.port)]
    return targetPort === undefined ? [] : [record(endpointName(workload, service), targetPort)]
  })
}

/** The addresses of the targets of an SRV answer (RFC 2782, additional section). */
function targetsOf(snapshot: Snapshot, service: Service): readonly Answer[] {
  const both = () => true
  if (!service.headless) return addressRecords(service.hostname, service.vips, both)
  return serving(snapshot, service).flatMap((workload) =>
    addressRecords(endpointName(workload, service), workload.addresses, both),
  )
}

function endpointName(workload: Workload, service: Service): string {
  return `${workload.name}.${service.hostname}`
}

/** For names outside the zone (short forms) the record's owner is the name itself: a resolver ignores one from elsewhere. */
function startOfAuthority(snapshot: Snapshot, name: string): Answer {
  const { serviceDomain } = snapshot.settings
  const inside = `.${name.toLowerCase()}`.endsWith(`.${serviceDomain.toLowerCase()}`)
  return {
    name: inside ? serviceDomain : name,
    type: 'SOA',
    ttl: negativeTtlSeconds,
    data: {
      mname: `ns.dns.${serviceDomain}`,
      rname: `hostmaster.${serviceDomain}`,
      serial: snapshot.version >>> 0,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: negativeTtlSeconds,
    },
  }
}
