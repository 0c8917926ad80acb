// Writes what the client's models (`@kubernetes/client-node`, generated from Kubernetes' OpenAPI) say of Kubernetes' own kinds into
// core-fields.json: types, what is required, list keys. Run it when the client changes: `node test/oracle/core-models.ts`. Service
// and Namespace stand there by hand.
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import * as models from '@kubernetes/client-node'
import { amountFields, coreEnums, coreLists, openModels } from './core-values.ts'
import type { CoreFields } from './facts.ts'

const wanted: Readonly<Record<string, string>> = {
  Pod: 'V1Pod',
  Node: 'V1Node',
  ServiceAccount: 'V1ServiceAccount',
  Endpoints: 'V1Endpoints',
  EndpointSlice: 'V1EndpointSlice',
  Secret: 'V1Secret',
  ConfigMap: 'V1ConfigMap',
  Event: 'CoreV1Event',
  Lease: 'V1Lease',
}

interface Attribute {
  readonly baseName: string
  readonly type: string
  readonly format: string
}

const classes = models as unknown as Readonly<Record<string, { readonly attributeTypeMap?: readonly Attribute[] }>>

export const coreFile = join(import.meta.dirname, 'core-fields.json')

/** Fields that a model requires, from its declaration: those without a question mark. */
const required = new Map<string, ReadonlySet<string>>()
const folder = join(import.meta.dirname, '../../node_modules/@kubernetes/client-node/dist/gen/models')

function requiredOf(model: string): ReadonlySet<string> {
  if (required.size === 0) {
    for (const file of globSync('*.d.ts', { cwd: folder })) {
      const names = Array.from(
        readFileSync(join(folder, file), 'utf8').matchAll(/^ {4}'(\w+)': /gm),
        (match) => match[1]!,
      )
      required.set(basename(file, '.d.ts'), new Set(names))
    }
  }
  return required.get(model) ?? new Set()
}

/** `type`, then ` required`, then the list's keys: one line for each path. */
export function coreFacts(): CoreFields {
  return Object.fromEntries(
    Object.entries(wanted).map(([kind, model]) => {
      const found: Record<string, string> = {}
      for (const attribute of classes[model]!.attributeTypeMap!) {
        if (!['apiVersion', 'kind', 'metadata'].includes(attribute.baseName))
          collect(model, attribute, attribute.baseName, found)
      }
      return [kind, { v1: Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1))) }]
    }),
  )
}

function collect(model: string, attribute: Attribute, path: string, found: Record<string, string>): void {
  const name = `${model}.${attribute.baseName}`
  const more = requiredOf(model).has(attribute.baseName) ? ' required' : ''
  const list = /^Array<(.*)>$/.exec(attribute.type)?.[1]
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(attribute.type)?.[1]
  if (list !== undefined) {
    found[path] = `list${more}; ${coreLists[name] ?? 'atomic'}`
    inside(name, list, attribute.format, `${path}[]`, found)
  } else if (map !== undefined) {
    found[path] = `map${more}`
    inside(name, map, attribute.format, `${path}{}`, found)
  } else inside(name, attribute.type, attribute.format, path, found, more)
}

function inside(
  name: string,
  type: string,
  format: string,
  path: string,
  found: Record<string, string>,
  more = '',
): void {
  const fields = type === 'V1MicroTime' ? undefined : classes[type]?.attributeTypeMap
  found[path] = `${fields === undefined ? plainType(name, type, format) : 'object'}${more}`
  for (const inner of fields ?? []) {
    if (openModels[type]?.includes(inner.baseName) === false) continue
    collect(type, inner, `${path}.${inner.baseName}`, found)
  }
}

function plainType(name: string, type: string, format: string): string {
  if (amountFields.has(name)) return 'int-or-string'
  if (coreEnums[name] !== undefined) return coreEnums[name]
  if (type === 'IntOrString') return 'int-or-string'
  if (type === 'number') return format.startsWith('int') ? 'integer' : 'number'
  return type === 'Date' || type === 'V1MicroTime' ? 'string' : type
}

if (import.meta.main) {
  const { Service, Namespace } = JSON.parse(readFileSync(coreFile, 'utf8')) as CoreFields
  writeFileSync(coreFile, `${JSON.stringify({ Service, Namespace, ...coreFacts() }, undefined, 2)}\n`)
}
