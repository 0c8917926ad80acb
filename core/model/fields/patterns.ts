// The string patterns of AuthorizationPolicy: exact, prefix `a*`, suffix `*a`, presence `*`. A pattern that could never match is
// refused, since a DENY rule that holds it would silently let everybody through.
import { clip, dnsSubdomain } from './rules.ts'

export function notBlank(value: string): string | undefined {
  return value.trim() === '' ? 'is empty' : undefined
}

/** Istio reads a `*` elsewhere as a plain character, which no name contains. */
export function stringPattern(value: string): string | undefined {
  if (value.trim() === '') return 'is empty'
  if (value !== value.trim()) return `"${clip(value)}" starts or ends with a space and would never match`
  if (value.slice(1, -1).includes('*') || value === '**') {
    return `"${clip(value)}" has "*" in the middle: only "*", "prefix*" and "*suffix" are patterns`
  }
  if (value.length > 2 && value.startsWith('*') && value.endsWith('*')) {
    return `"${clip(value)}" has "*" at both ends: only "*", "prefix*" and "*suffix" are patterns`
  }
  return undefined
}

/** A principal: `<trust-domain>/ns/<namespace>/sa/<service-account>` or a pattern of one. */
export function identityPattern(value: string): string | undefined {
  if (value.startsWith('spiffe://'))
    return `"${clip(value)}": principals are written without "spiffe://"; write ${clip(value.slice(9))}`
  const wrong = stringPattern(value)
  if (wrong !== undefined || value.includes('*')) return wrong
  if (/^[^/]+\/ns\/[^/]+\/sa\/[^/]+$/.test(value)) return undefined
  return `"${clip(value)}" is not <trust-domain>/ns/<namespace>/sa/<service-account>`
}

/** `name` (in the policy's namespace) or `namespace/name`, without wildcards. */
export function serviceAccountName(value: string): string | undefined {
  const parts = value.split('/')
  const valid = value.length <= 320 && parts.length <= 2 && parts.every((part) => dnsSubdomain(part) === undefined)
  return valid ? undefined : `"${clip(value)}" is not a service account: "name" or "namespace/name"`
}

/** Paths may also carry the `{*}` and `{**}` templates; those exclude a plain `*`. */
export function pathTemplate(value: string): string | undefined {
  if (value.trim() === '') return 'is empty'
  if (!value.includes('{')) return undefined
  const rest = value.replaceAll('{**}', '').replaceAll('{*}', '')
  return /[{}*]/.test(rest)
    ? `"${clip(value)}" mixes path templates: only {*} and {**} are allowed, without "*"`
    : undefined
}
