// Value rules shared by the field tables: names, labels, ports, addresses. Each returns what is wrong, or undefined.
import { isIP } from 'node:net'
import { canonicalAddress } from '../../net/address.ts'
import { parseCidr } from '../../net/cidr.ts'
import type { Field, ValueCheck } from './field.ts'
import { asWhole } from './field.ts'

const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const serviceNamePattern = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const qualifiedPattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/
const portNamePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

/** RFC 1123 label: a name without dots, as namespaces have. */
export function dnsLabel(value: string): string | undefined {
  if (value.length <= 63 && labelPattern.test(value)) return undefined
  return `"${clip(value)}" is not a DNS label: up to 63 lower-case letters, digits and "-", starting and ending with a letter or digit`
}

/** RFC 1123 subdomain: labels joined by dots, as most objects are named. */
export function dnsSubdomain(value: string): string | undefined {
  if (value.length <= 253 && value.split('.').every((part) => labelPattern.test(part))) return undefined
  return `"${clip(value)}" is not a DNS name: up to 253 lower-case letters, digits, "-" and "."`
}

/** RFC 1035 label, as Services are named: starts with a letter. */
export function serviceName(value: string): string | undefined {
  if (value.length <= 63 && serviceNamePattern.test(value)) return undefined
  return `"${clip(value)}" is not a Service name: up to 63 lower-case letters, digits and "-", starting with a letter`
}

/** `[prefix/]name`, as the keys of labels and annotations. */
export function qualifiedName(value: string): string | undefined {
  const slash = value.lastIndexOf('/')
  const prefix = slash < 0 ? undefined : value.slice(0, slash)
  const name = value.slice(slash + 1)
  if (prefix !== undefined && dnsSubdomain(prefix) !== undefined) {
    return `"${clip(value)}" has the prefix "${clip(prefix)}", which is not a DNS name`
  }
  if (name.length <= 63 && qualifiedPattern.test(name)) return undefined
  return `"${clip(value)}" is not [prefix/]name: the name has up to 63 letters, digits, "-", "_" and "."`
}

/** Annotation keys may use upper case in their prefix. */
export function annotationKey(value: string): string | undefined {
  return qualifiedName(value.toLowerCase()) === undefined ? undefined : qualifiedName(value)
}

export function labelValue(value: string): string | undefined {
  if (value === '' || (value.length <= 63 && qualifiedPattern.test(value))) return undefined
  return `"${clip(value)}" is not a label value: up to 63 letters, digits, "-", "_" and ".", starting and ending with a letter or digit`
}

/** Kubernetes container port name (IANA service name). */
export function portName(value: string): string | undefined {
  const valid = value.length <= 15 && portNamePattern.test(value) && /[a-z]/.test(value) && !value.includes('--')
  return valid
    ? undefined
    : `"${clip(value)}" is not a port name: up to 15 lower-case letters, digits and "-", with at least one letter`
}

export function portNumber(value: number): string | undefined {
  return Number.isInteger(value) && value >= 1 && value <= 65535 ? undefined : `${value} is not a port: 1 to 65535`
}

/** A port written as text, as the lists of AuthorizationPolicy have it. */
export function portText(value: string): string | undefined {
  if (/^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65535) return undefined
  return `"${clip(value)}" is not a port: "1" to "65535"`
}

export function portNumberOrName(value: number | string): string | undefined {
  return typeof value === 'number' ? portNumber(value) : portName(value)
}

export function ipAddress(value: string): string | undefined {
  if (isIP(value) !== 0 && !value.includes('%')) return undefined
  return `"${clip(value)}" is not an IP address`
}

/** An address that can be the address of one machine. */
export function unicastAddress(value: string): string | undefined {
  const wrong = ipAddress(value)
  if (wrong !== undefined) return wrong
  const address = canonicalAddress(value)!
  if (address === '0.0.0.0' || address === '::') return `${address} is the unspecified address`
  const multicast = address.startsWith('ff') || /^(22[4-9]|23\d)\./.test(address)
  return multicast ? `${address} is a multicast address` : undefined
}

export function addressBlock(value: string): string | undefined {
  if (!value.includes('%') && parseCidr(value) !== undefined) return undefined
  return `"${clip(value)}" is neither an IP address nor a CIDR block such as 10.0.0.0/8`
}

export function maxLength(limit: number): ValueCheck<string> {
  return (value) => (value.length <= limit ? undefined : `has ${value.length} characters, at most ${limit} are allowed`)
}

/** The first complaint of several checks. */
export function all<Value>(...checks: readonly ValueCheck<Value>[]): ValueCheck<Value> {
  return (value) => {
    for (const check of checks) {
      const wrong = check(value)
      if (wrong !== undefined) return wrong
    }
    return undefined
  }
}

/** Enough of a value to recognise it in a message. */
export function clip(value: string): string {
  return value.length <= 80 ? value : `${value.slice(0, 77)}...`
}

/** One item of a list of strings. */
export function item<Check extends ValueCheck<string>>(check: Check) {
  return { type: 'string', text: 'One value.', use: asWhole, check } as const satisfies Field
}
