// Content digests of compiled resources: control plane and agents compare them to send only what differs after a gap.
import { createHash } from 'node:crypto'

/** Twelve base64url characters of the SHA-256 of the canonical JSON: equal for equal content, whatever the order of keys. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('base64url').slice(0, 12)
}

/** JSON with the keys of every object in code-unit order; fields that are undefined are left out, as JSON does. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const source = value as Readonly<Record<string, unknown>>
  const fields = Object.keys(source)
    .filter((key) => source[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(source[key])}`)
  return `{${fields.join(',')}}`
}
