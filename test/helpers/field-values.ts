// Values that a field of a table accepts, found by trying: a pool of texts and numbers against the checks of the field.
// objects-of-kind.ts builds whole objects from them.
import { Check } from '../../core/model/field-check.ts'
import type { Field } from '../../core/model/fields/field.ts'

/** Texts of every form that some field asks for, the plainest first. */
const texts: readonly string[] = [
  'a',
  'example.com',
  'a.example.com',
  '10.0.0.1',
  '10.0.0.0/24',
  '80',
  'http',
  'HTTP',
  'HTTPS',
  'TCP',
  '1.5s',
  '2s',
  '100ms',
  '/a',
  'https://example.com/keys',
  'GET',
  'http2',
  '5xx',
  'UNAVAILABLE',
  'source.ip',
  'cluster.local/ns/a/sa/b',
  'region',
  'region/zone/subzone',
  'topology.kubernetes.io/region',
  'us-east/zone1/*',
  '{"keys":[]}',
  'CONNECT',
  'a/b',
  '.',
  'a:1',
  '*',
  'None',
  'Service',
  'IPAddress',
  'kubernetes.io/tls',
  'example.com/controller',
  'core',
  'YQ==',
  '2026-01-02T03:04:05Z',
  '',
]

const numbers: readonly number[] = [1, 80, 100, 200, 503, 5, 50, 0, 0.5, 30_000, 307]

/** Whether the value is accepted for the field, seen alone. */
export function accepts(field: Field, value: unknown, version: string): boolean {
  const check = new Check({ version, nulls: 'absent' })
  check.field(value, field, [])
  return check.problems.length === 0
}

/** Accepted values of a field without parts; empty for lists, maps and objects. */
export function leafValues(field: Field, version: string): readonly unknown[] {
  return pool(field).filter((value) => accepts(field, value, version))
}

/** Keys that a map accepts. */
export function mapKeys(field: Field & { readonly type: 'map' }): readonly string[] {
  return texts.filter((key) => key !== '' && field.key?.(key) === undefined)
}

function pool(field: Field): readonly unknown[] {
  switch (field.type) {
    case 'string':
      return texts
    case 'enum':
      return field.values
    case 'boolean':
      return [true, false]
    case 'integer':
    case 'number':
      return [...numbers, field.min, field.max].filter((value) => value !== undefined)
    case 'int-or-string':
      return [80, ...texts]
    case 'any':
      return [{ a: 'b' }, 'a']
    default:
      return []
  }
}
