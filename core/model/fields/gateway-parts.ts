// Parts that all kinds of the Gateway API share: names, host names, header names, durations and references as its CRDs limit them.
import { isIP } from 'node:net'
import { durationMs } from './duration.ts'
import { asWhole, type StringField } from './field.ts'
import { headerName } from './http-headers.ts'
import { text } from './parts.ts'
import { clip, dnsLabel, dnsSubdomain } from './rules.ts'

export const gatewayGroup = 'gateway.networking.k8s.io'

const domain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'
const kindPattern = '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$'
const hostNamePattern = new RegExp(`^(\\*\\.)?${domain}$`)

type Extra = Partial<Omit<StringField, 'type' | 'text' | 'check'>>

export function groupOf<const More extends Extra = Record<never, never>>(what: string, more?: More) {
  const check = (value: string): string | undefined => (value === '' ? undefined : dnsSubdomain(value))
  return { ...text(what, { maxLength: 253, pattern: `^$|^${domain}$`, check }), ...(more as More) } as const
}

export function kindName<const More extends Extra = Record<never, never>>(what: string, more?: More) {
  const check = (value: string): string | undefined =>
    new RegExp(kindPattern).test(value) ? undefined : `"${clip(value)}" is not a kind such as Service`
  return { ...text(what, { minLength: 1, maxLength: 63, pattern: kindPattern, check }), ...(more as More) } as const
}

export function objectName<const More extends Extra = Record<never, never>>(what: string, more?: More) {
  return { ...text(what, { minLength: 1, maxLength: 253 }), ...(more as More) } as const
}

export function namespaceName<const More extends Extra = Record<never, never>>(what: string, more?: More) {
  const bounds = { minLength: 1, maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$', check: dnsLabel }
  return { ...text(what, bounds), ...(more as More) } as const
}

/** Names of listeners and of rules. */
export function sectionName<const More extends Extra = Record<never, never>>(what: string, more?: More) {
  const bounds = { minLength: 1, maxLength: 253, pattern: `^${domain}$`, check: dnsSubdomain }
  return { ...text(what, bounds), ...(more as More) } as const
}

/** A whole domain name, without wildcard (`PreciseHostname`). */
export function preciseHost(what: string) {
  const check = (value: string): string | undefined =>
    value.startsWith('*.') ? `"${clip(value)}" has a wildcard; name one host` : hostName(value)
  return text(what, { minLength: 1, maxLength: 253, pattern: `^${domain}$`, check })
}

/** A domain name that may begin with `*.` (`Hostname`). */
export function anyHost(what: string) {
  return text(what, { minLength: 1, maxLength: 253, pattern: `^(\\*\\.)?${domain}$`, check: hostName })
}

/** Whether these characters can be a host name, whatever else the field asks for. */
export function isHostName(value: string): boolean {
  return hostNamePattern.test(value)
}

function hostName(value: string): string | undefined {
  if (isIP(value) !== 0) return `"${clip(value)}" is an IP address; name a host`
  if (value !== value.toLowerCase() && isHostName(value.toLowerCase())) {
    return `"${clip(value)}" has upper-case letters; write "${clip(value.toLowerCase())}"`
  }
  if (value.includes('://')) return `"${clip(value)}" is a URL; write the host name alone`
  if (isHostName(value)) return undefined
  const wildcard = value.includes('*') ? '; a wildcard is the whole first label: "*.example.com"' : ''
  return `"${clip(value)}" is not a host name such as api.example.com${wildcard}`
}

export function headerNamed(what: string) {
  const pattern = "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$"
  const check = (value: string): string | undefined => (value === '' ? 'is empty' : headerName(value))
  return text(what, { required: true, minLength: 1, maxLength: 256, pattern, check })
}

export function headerValue(what: string) {
  const pattern = '^[!-~]+([\\t ]?[!-~]+)*$'
  const check = (value: string): string | undefined =>
    /^[!-~]+([\t ]?[!-~]+)*$/.test(value)
      ? undefined
      : `"${clip(value)}" is not a header value; use visible ASCII, with single spaces between words`
  return text(what, { required: true, minLength: 1, maxLength: 4096, pattern, check })
}

/** GEP-2257: whole numbers with h, m, s or ms, at most four of them. */
export function gatewayDuration(what: string) {
  const pattern = '^([0-9]{1,5}(h|m|s|ms)){1,4}$'
  const check = (value: string): string | undefined => {
    if (new RegExp(pattern).test(value)) return undefined
    const hint = durationMs(value) === undefined ? '' : '; write fractions in the next smaller unit: 1500ms'
    return `"${clip(value)}" is not a duration such as 10s, 500ms or 1h30m${hint}`
  }
  return text(what, { pattern, check })
}

/** `example.com/path`, as controllers are named. */
export function controllerName(what: string) {
  const pattern = `^${domain}\\/[A-Za-z0-9\\/\\-._~%!$&'()*+,;=:]+$`
  const check = (value: string): string | undefined =>
    new RegExp(pattern).test(value) ? undefined : `"${clip(value)}" is not domain/path such as example.com/controller`
  return text(what, { required: true, minLength: 1, maxLength: 253, pattern, check })
}

/** An object of the same namespace (`LocalObjectReference`). */
export function localReference(what: string) {
  const fields = {
    group: groupOf('API group of the object; empty for the core group.', { required: true }),
    kind: kindName('Kind of the object.', { required: true }),
    name: objectName('Name of the object.', { required: true }),
  } as const
  return { type: 'object', text: what, use: asWhole, fields } as const
}

/** A Secret, or what else holds a certificate (`SecretObjectReference`). */
export function secretReference(what: string) {
  const fields = {
    group: groupOf('API group of the object; empty for the core group.', { default: '' }),
    kind: kindName('Kind of the object.', { default: 'Secret' }),
    name: objectName('Name of the object.', { required: true }),
    namespace: namespaceName('Its namespace, this one where absent; another one needs a ReferenceGrant.'),
  } as const
  return { type: 'object', text: what, use: asWhole, fields } as const
}
