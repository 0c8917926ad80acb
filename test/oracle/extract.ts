// Writes crd-fields.json: which fields the published CRDs have, and their types (facts only, nothing else of them). Run it when
// ../shared/crds changes: `node test/oracle/extract.ts`. The unit test of the field tables compares with the result.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

/** Kind → version → path of a field below the object (`[]` for items, `{}` for values of a map) → type. */
export type CrdFields = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>

/** Outside the repository: present where Culvert is developed, not in a user's clone. */
export const crdFile = join(import.meta.dirname, '../../../shared/crds/istio.yaml')
export const oracleFile = join(import.meta.dirname, 'crd-fields.json')

const wanted = ['WorkloadEntry', 'AuthorizationPolicy', 'PeerAuthentication']

interface Schema {
  readonly type?: string
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly 'x-kubernetes-int-or-string'?: boolean
}

interface Crd {
  readonly spec?: {
    readonly names: { readonly kind: string }
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[]
  }
}

/** The fields of the wanted kinds, or undefined where the CRDs are not there. */
export function extractFields(): CrdFields | undefined {
  if (!existsSync(crdFile)) return undefined
  const fields: Record<string, Record<string, Record<string, string>>> = {}
  for (const document of parseAllDocuments(readFileSync(crdFile, 'utf8'))) {
    const crd = document.toJS() as Crd | null
    const kind = crd?.spec?.names.kind
    if (kind === undefined || !wanted.includes(kind)) continue
    for (const { name, schema } of crd!.spec!.versions) {
      const found: Record<string, string> = {}
      collect(schema.openAPIV3Schema.properties!['spec']!, 'spec', found)
      fields[kind] ??= {}
      fields[kind][name] = found
    }
  }
  return fields
}

function collect(schema: Schema, path: string, found: Record<string, string>): void {
  found[path] = typeOf(schema)
  for (const [name, inner] of Object.entries(schema.properties ?? {})) collect(inner, `${path}.${name}`, found)
  if (schema.items !== undefined) collect(schema.items, `${path}[]`, found)
  if (schema.additionalProperties !== undefined) collect(schema.additionalProperties, `${path}{}`, found)
}

function typeOf(schema: Schema): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'int-or-string'
  if (schema.enum !== undefined) return `enum ${[...schema.enum].sort().join('|')}`
  if (schema.type === 'array') return 'list'
  if (schema.additionalProperties !== undefined) return 'map'
  return schema.type ?? 'object'
}

if (import.meta.main) {
  const fields = extractFields()
  if (fields === undefined) throw new Error(`${crdFile} is not there: crd-fields.json stays as it is`)
  writeFileSync(oracleFile, `${JSON.stringify(fields, null, 2)}\n`)
}
