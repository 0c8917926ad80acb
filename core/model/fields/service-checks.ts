// What must hold between the fields of a Service: ports are there, named and distinct; virtual IPs agree with each other.
import { canonicalAddress, familyOf } from '../../net/address.ts'
import type { ObjectCheck } from './field.ts'

interface PortLike {
  readonly name?: string
  readonly port: number
  readonly protocol?: string
}

/** A service with a virtual IP without ports could never be reached. */
const hasPorts: ObjectCheck = (spec, report) => {
  const ports = (spec['ports'] as readonly PortLike[] | undefined) ?? []
  const needsPorts = spec['clusterIP'] !== 'None' && spec['type'] !== 'ExternalName'
  if (ports.length === 0 && needsPorts)
    report(['ports'], 'are required, except for clusterIP None or ExternalName', 'required')
}

const namedPorts: ObjectCheck = (spec, report) => {
  const ports = (spec['ports'] as readonly PortLike[] | undefined) ?? []
  if (ports.length < 2) return
  for (const [index, port] of ports.entries()) {
    if ((port.name ?? '') === '')
      report(['ports', index, 'name'], 'is required: the service has several ports', 'required')
  }
}

const distinctPorts: ObjectCheck = (spec, report) => {
  const ports = (spec['ports'] as readonly PortLike[] | undefined) ?? []
  const names = new Map<string, number>()
  const numbers = new Map<string, number>()
  for (const [index, port] of ports.entries()) {
    const name = port.name ?? ''
    const number = `${port.port}/${port.protocol ?? 'TCP'}`
    if (names.has(name) && name !== '') {
      report(['ports', index, 'name'], `"${name}" is used already by ports[${names.get(name)}]`, 'duplicate')
    }
    if (numbers.has(number)) {
      report(['ports', index, 'port'], `${number} is used already by ports[${numbers.get(number)}]`, 'duplicate')
    }
    if (!names.has(name)) names.set(name, index)
    if (!numbers.has(number)) numbers.set(number, index)
  }
}

const virtualIps: ObjectCheck = (spec, report) => {
  const first = spec['clusterIP'] as string | undefined
  const list = (spec['clusterIPs'] as readonly string[] | undefined) ?? []
  if (list.length === 0) return
  if (first !== undefined && first !== '' && !sameAddress(first, list[0]!)) {
    report(['clusterIPs', 0], `"${list[0]}" is not the clusterIP "${first}"`)
  }
  if (list.length < 2) return
  if (list.includes('None') || list.includes(''))
    report(['clusterIPs'], 'must be two addresses, or one entry', 'invalid')
  else if (familyOf(list[0]!) === familyOf(list[1]!)) report(['clusterIPs', 1], 'is of the same family as the first')
}

function sameAddress(a: string, b: string): boolean {
  return (canonicalAddress(a) ?? a) === (canonicalAddress(b) ?? b)
}

const externalNameIsGiven: ObjectCheck = (spec, report) => {
  if (spec['type'] !== 'ExternalName') return
  if (((spec['externalName'] as string | undefined) ?? '') === '') {
    report(['externalName'], 'is required for type ExternalName', 'required')
  }
  const address = spec['clusterIP'] as string | undefined
  if (address !== undefined && address !== '') report(['clusterIP'], 'is not allowed for type ExternalName')
}

export const serviceChecks: readonly ObjectCheck[] = [
  hasPorts,
  namedPorts,
  distinctPorts,
  virtualIps,
  externalNameIsGiven,
]
