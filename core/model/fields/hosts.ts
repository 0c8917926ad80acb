// Host names as the routing kinds write them: short, fully qualified, with a wildcard as first label, or an IP address. Also who
// sees a resource (`exportTo`).
import { isIP } from 'node:net'
import type { ObjectCheck } from './field.ts'
import { clip, dnsLabel, maxLength } from './rules.ts'

const part = /^[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?$/

/** Short or fully qualified; a final dot is allowed. */
export function hostName(value: string): string | undefined {
  const name = value.endsWith('.') ? value.slice(0, -1) : value
  const tooLong = maxLength(255)(value)
  if (tooLong !== undefined) return tooLong
  if (name.includes('*')) return `"${clip(value)}" has a wildcard: name one host`
  if (name.includes('://')) return `"${clip(value)}" is a URL: write the host name alone`
  const valid = name.split('.').every((label) => label.length <= 63 && part.test(label))
  return valid ? undefined : `"${clip(value)}" is not a host name such as orders.shop.svc.cluster.local`
}

/** Also `*`, and `*` in front of a domain: `*.example.com`. */
export function wildcardHost(value: string): string | undefined {
  if (value === '*') return undefined
  const domain = /^\*[-.]?/.exec(value)?.[0]
  if (domain === undefined) return hostName(value)
  const rest = value.slice(domain.length)
  const wrong = rest === '' ? `"${clip(value)}" has no domain after the wildcard` : hostName(rest)
  return rest.includes('*') ? `"${clip(value)}" has "*" after its start: only "*.domain" is a pattern` : wrong
}

export function hostOrAddress(value: string): string | undefined {
  return isIP(value) === 0 ? hostName(value) : undefined
}

export function wildcardHostOrAddress(value: string): string | undefined {
  return isIP(value) === 0 ? wildcardHost(value) : undefined
}

/** Whether every name that `inner` stands for is one that `outer` stands for. */
export function hostWithin(inner: string, outer: string): boolean {
  const [a, b] = [inner.toLowerCase(), outer.toLowerCase()]
  if (b === '*') return true
  return b.startsWith('*') ? a.replace(/^\*/, '').endsWith(b.slice(1)) : a === b
}

/** `.` (this namespace), `*` (all), `~` (none) or the name of a namespace. */
export function visibility(value: string): string | undefined {
  return ['.', '*', '~'].includes(value) || dnsLabel(value) === undefined
    ? undefined
    : `"${clip(value)}" is neither ".", "*", "~" nor a namespace`
}

/** Istio's rules for `exportTo`. */
export const exportToFits: ObjectCheck = (spec, report) => {
  const list = (spec['exportTo'] as readonly string[] | undefined) ?? []
  for (const [index, entry] of list.entries()) {
    if (list.indexOf(entry) < index) report(['exportTo', index], `"${entry}" is listed twice`, 'duplicate')
  }
  for (const alone of ['*', '~']) {
    if (list.length > 1 && list.includes(alone)) report(['exportTo'], `"${alone}" must stand alone`)
  }
}
