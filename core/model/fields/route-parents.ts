// What a route attaches to: gateways, their listeners, or (GAMMA) services. Shared by all kinds of routes and their status.
import { asWhole, enforced, type FieldTable, ignored, type ListField, type ListRule } from './field.ts'
import { gatewayGroup, groupOf, kindName, namespaceName, objectName, sectionName } from './gateway-parts.ts'
import { port } from './parts.ts'

export const parentFields = {
  group: groupOf('API group of the parent; empty for a Service.', { default: gatewayGroup }),
  kind: kindName('Kind of the parent: Gateway, or Service for traffic within the mesh.', { default: 'Gateway' }),
  name: objectName('Name of the parent.', { required: true }),
  namespace: namespaceName('Its namespace; this one where absent.'),
  port: port('Only the listener or the service port of this number.'),
  sectionName: sectionName('Only the listener of this name.'),
} as const satisfies FieldTable

type Parent = Readonly<Record<string, unknown>>

const sameParent = (a: Parent): string =>
  JSON.stringify([a['group'] ?? gatewayGroup, a['kind'] ?? 'Gateway', a['name'], a['namespace'] ?? ''])

/** Calls back with each pair of references to one parent, the later one first. */
function eachPair(parents: readonly Parent[], found: (later: number, earlier: number) => void): void {
  const first = new Map<string, number[]>()
  for (const [index, parent] of parents.entries()) {
    const key = sameParent(parent)
    const earlier = first.get(key) ?? []
    for (const other of earlier) found(index, other)
    first.set(key, [...earlier, index])
  }
}

const told: ListRule = {
  message: 'sectionName or port must be specified when parentRefs includes 2 or more references to the same parent',
  check: (parents, report) => {
    eachPair(parents, (later, earlier) => {
      for (const name of ['sectionName', 'port']) {
        if ((parents[later]![name] === undefined) === (parents[earlier]![name] === undefined)) continue
        const message = `names the same parent as entry ${earlier}; set ${name} in both or in neither`
        report([later], message)
      }
    })
  },
}

const distinct: ListRule = {
  message: 'sectionName or port must be unique when parentRefs includes 2 or more references to the same parent',
  check: (parents, report) => {
    eachPair(parents, (later, earlier) => {
      const same = ['sectionName', 'port'].every((name) => parents[later]![name] === parents[earlier]![name])
      const message = `is the same parent as entry ${earlier}; remove it, or give them different sectionName or port`
      if (same) report([later], message, 'duplicate')
    })
  },
}

export const parentRefs = {
  type: 'list',
  text: 'What the route attaches to.',
  use: enforced('status: one entry for each parent'),
  maxItems: 32,
  item: { type: 'object', text: 'One parent.', use: asWhole, fields: parentFields },
  rules: [told, distinct],
} as const satisfies ListField

export const useDefaultGateways = {
  type: 'enum',
  text: 'Whether the route also attaches to the default gateways.',
  use: ignored('useDefaultGateways has no effect: nothing enters the mesh through a Gateway, attach to Services'),
  values: ['All', 'None'],
} as const
