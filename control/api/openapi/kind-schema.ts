// What one kind adds to the document of a group version: its definition and that of its list. documents.ts calls it.
import { asWhole, enforced, type Field } from '../../../core/model/fields/field.ts'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import { listMeta, objectMeta, ref, refWith, typeMeta } from './definitions.ts'
import { propertiesOf, type Schema, schemaOf } from './schema.ts'

export interface GroupVersionKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

/** `io.k8s.api.core.v1.Service`, `io.istio.security.v1.AuthorizationPolicy`: reversed domain, version, kind. */
export function definitionName({ group, versions: _, kind }: Kind, version: string): string {
  if (!group.includes('.')) return `io.k8s.api.${group === '' ? 'core' : group}.${version}.${kind}`
  if (group === 'discovery.k8s.io' || group === 'events.k8s.io') {
    return `io.k8s.api.${group.slice(0, group.indexOf('.'))}.${version}.${kind}`
  }
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`
}

export function groupVersionKind({ group, kind }: Kind, version: string): GroupVersionKind {
  return { group, version, kind }
}

const someText = { type: 'string', text: '', use: asWhole } as const

/** What Culvert reports of a kind that has no status table of its own. */
const conditions: Field = {
  type: 'list',
  text: 'Whether the object is accepted and takes effect, and what of it does not.',
  use: enforced('written by the control plane'),
  listType: 'map',
  mapKeys: ['type'],
  item: {
    type: 'object',
    text: 'One condition.',
    use: asWhole,
    fields: {
      type: { ...someText, text: 'What the condition is about.', required: true },
      status: {
        type: 'enum',
        text: 'Whether it holds.',
        use: asWhole,
        values: ['True', 'False', 'Unknown'],
        required: true,
      },
      reason: { ...someText, text: 'Machine-readable reason.' },
      message: { ...someText, text: 'Words for people.' },
      lastTransitionTime: { ...someText, text: 'When the status last changed.', format: 'date-time' },
      observedGeneration: {
        type: 'integer',
        text: 'The generation that the condition is about.',
        use: asWhole,
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
      },
    },
  },
}

/** The definitions of the kind and its list. */
export function kindDefinitions(kind: Kind, version: string): Readonly<Record<string, Schema>> {
  const name = definitionName(kind, version)
  const gvk = groupVersionKind(kind, version)
  const { properties, ...rest } = propertiesOf(kind.body, version) as { properties: Schema }
  const single = {
    description: kindText(kind),
    type: 'object',
    properties: {
      ...typeMeta,
      metadata: refWith(objectMeta, 'Name, labels and bookkeeping of the object.'),
      ...properties,
      ...(kind.hasNoStatus === true ? {} : { status: statusSchema(kind, version) }),
    },
    ...rest,
    'x-kubernetes-group-version-kind': [gvk],
  }
  const list = {
    description: `A list of ${kind.plural}.`,
    type: 'object',
    required: ['items'],
    properties: {
      ...typeMeta,
      metadata: refWith(listMeta, 'Where the list stands.'),
      items: { type: 'array', description: 'The objects.', items: ref(name) },
    },
    'x-kubernetes-group-version-kind': [{ ...gvk, kind: `${kind.kind}List` }],
  }
  return { [name]: single, [`${name}List`]: list }
}

function kindText(kind: Kind): string {
  const scope = kind.namespaced ? 'lives in a namespace' : 'belongs to no namespace'
  return `${kind.kind}${kind.group === '' ? '' : ` of ${kind.group}`}: ${scope}.`
}

function statusSchema(kind: Kind, version: string): Schema {
  if (kind.status !== undefined) return schemaOf(kind.status, version)
  return {
    description: 'What the control plane has made of the object.',
    type: 'object',
    properties: { conditions: schemaOf(conditions, version) },
    'x-kubernetes-preserve-unknown-fields': true,
  }
}
