// Sets of field paths as immutable tries: what one manager owns of an object. A step of a path is its fieldsV1 key: `f:name` a
// field, `k:{…}` a list item by its keys, `v:…` a value of a set, `i:0` a position. fields-v1.ts writes and reads them.

/** A node: whether the path up to here is in the set, and what lies below it. No node without either is kept. */
export interface FieldSet {
  readonly member: boolean
  readonly children: ReadonlyMap<string, FieldSet>
}

const none: ReadonlyMap<string, FieldSet> = new Map()

export const emptySet: FieldSet = { member: false, children: none }

/** The path itself and nothing below. */
export const leaf: FieldSet = { member: true, children: none }

export function isEmpty(set: FieldSet): boolean {
  return !set.member && set.children.size === 0
}

/** A node of these parts; empty children are left out. */
export function node(member: boolean, children: Iterable<readonly [string, FieldSet]>): FieldSet {
  const kept = new Map<string, FieldSet>()
  for (const [step, child] of children) if (!isEmpty(child)) kept.set(step, child)
  if (kept.size === 0) return member ? leaf : emptySet
  return { member, children: kept }
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmpty(b)) return a
  if (isEmpty(a)) return b
  const children = new Map(a.children)
  for (const [step, child] of b.children) {
    const held = children.get(step)
    children.set(step, held === undefined ? child : union(held, child))
  }
  return { member: a.member || b.member, children }
}

/** Paths of `a` that are not in `b`; what lies below a path of `b` stays. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(b)) return a
  const children = [...a.children].map(([step, child]) => {
    const other = b.children.get(step)
    return [step, other === undefined ? child : difference(child, other)] as const
  })
  return node(a.member && !b.member, children)
}

/** `a` without the paths of `b` and everything below them. */
export function without(a: FieldSet, b: FieldSet): FieldSet {
  const children = [...a.children].flatMap(([step, child]) => {
    const other = b.children.get(step)
    if (other?.member === true) return []
    return [[step, other === undefined ? child : without(child, other)] as const]
  })
  return node(a.member, children)
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const children = [...a.children].flatMap(([step, child]) => {
    const other = b.children.get(step)
    return other === undefined ? [] : [[step, intersection(child, other)] as const]
  })
  return node(a.member && b.member, children)
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a === b) return true
  if (a.member !== b.member || a.children.size !== b.children.size) return false
  for (const [step, child] of a.children) {
    const other = b.children.get(step)
    if (other === undefined || !equalSets(child, other)) return false
  }
  return true
}

/** The set of these paths. */
export function setOf(paths: Iterable<readonly string[]>): FieldSet {
  let set = emptySet
  for (const path of paths) {
    set = union(
      set,
      path.reduceRight((below, step) => node(false, [[step, below]]), leaf),
    )
  }
  return set
}

/** Every path of the set, in the order of `compareSteps`. */
export function* pathsOf(set: FieldSet, base: readonly string[] = []): Generator<readonly string[]> {
  if (set.member && base.length > 0) yield base
  for (const step of sortedSteps(set)) yield* pathsOf(set.children.get(step)!, [...base, step])
}

const order = 'fkvi'

/** Fields before keys before values before positions. */
export function sortedSteps(set: FieldSet): readonly string[] {
  return [...set.children.keys()].sort((a, b) => {
    const byType = order.indexOf(a[0]!) - order.indexOf(b[0]!)
    if (byType !== 0) return byType
    return a < b ? -1 : 1
  })
}

/** `.spec.ports[port=80,protocol="TCP"].name`, as Kubernetes writes paths in conflicts. */
export function formatFieldPath(path: readonly string[]): string {
  return path.map(formatStep).join('')
}

function formatStep(step: string): string {
  const rest = step.slice(2)
  if (step.startsWith('f:')) return `.${rest}`
  if (step.startsWith('v:')) return `[=${rest}]`
  if (step.startsWith('i:')) return `[${rest}]`
  const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>)
  return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',')}]`
}
