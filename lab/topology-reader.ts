// Reads the YAML nodes of a topology and remembers what was wrong where. Used by topology.ts and topology-waypoints.ts.
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, type YAMLMap } from 'yaml'

/** `file:line:column: path: message` of one mistake in a topology file. */
export interface TopologyProblem {
  readonly line: number
  readonly column: number
  readonly path: string
  readonly message: string
}

const later: Readonly<Record<string, string>> = {
  cgroup: 'host capture by cgroup is not built yet; give the workload a network namespace of its own',
  user: 'host capture by user is not built yet; give the workload a network namespace of its own',
}

export function fieldOf(map: YAMLMap, key: string): Node | undefined {
  const value = map.get(key, true) as Node | null | undefined
  return value ?? undefined
}

/** Reads YAML nodes and remembers what was wrong where. */
export class Reader {
  readonly lines = new LineCounter()
  readonly problems: TopologyProblem[] = []

  problemAt(offset: number, path: string, message: string): void {
    const { line, col } = this.lines.linePos(offset)
    this.problems.push({ line, column: col, path, message })
  }

  problem(node: unknown, path: string, message: string): void {
    const range = (node as { range?: readonly [number, number, number] | null } | null)?.range
    this.problemAt(range?.[0] ?? 0, path, message)
  }

  map(node: unknown, path: string, fields: readonly string[], expectation: string): YAMLMap | undefined {
    if (!isMap(node)) {
      this.problem(node, path, expectation)
      return undefined
    }
    for (const pair of node.items) this.#known(pair as Pair<Node>, path, fields)
    return node as YAMLMap
  }

  #known(pair: Pair<Node>, path: string, fields: readonly string[]): void {
    const key = isScalar(pair.key) ? String(pair.key.value) : '?'
    if (fields.includes(key)) return
    const at = path === '' ? key : `${path}.${key}`
    const near = fields.find((field) => field.startsWith(key) || key.startsWith(field))
    const hint = near === undefined ? `known: ${fields.join(', ') || 'none'}` : `did you mean "${near}"?`
    this.problem(pair.key, at, later[key] ?? `unknown field; ${hint}`)
  }

  list(map: YAMLMap, key: string, path: string, required: boolean): readonly Node[] {
    const at = path === '' ? key : `${path}.${key}`
    const node = fieldOf(map, key)
    if (node === undefined && !required) return []
    if (isSeq(node) && (node.items.length > 0 || !required)) return node.items as Node[]
    this.problem(node ?? map, at, 'expected a list that is not empty')
    return []
  }

  entries(map: YAMLMap, key: string, path: string): readonly (readonly [string, Node])[] {
    const node = fieldOf(map, key)
    if (node === undefined) return []
    if (!isMap(node)) {
      this.problem(node, `${path}.${key}`, 'expected a map')
      return []
    }
    return node.items.map((pair) => [isScalar(pair.key) ? String(pair.key.value) : '?', pair.value as Node] as const)
  }

  text(node: unknown, path: string, pattern: RegExp, expectation: string): string | undefined {
    const value = isScalar(node) ? node.value : undefined
    if (typeof value === 'string' && pattern.test(value)) return value
    const found = isScalar(node) ? `; found ${JSON.stringify(value)}` : ''
    const hint = typeof value === 'number' || typeof value === 'boolean' ? ' (write it in quotes)' : ''
    this.problem(node, path, `expected ${expectation}${found}${hint}`)
    return undefined
  }

  field(
    map: YAMLMap,
    path: string,
    key: string,
    pattern: RegExp,
    expectation: string,
    fallback?: string,
  ): string | undefined {
    const node = fieldOf(map, key)
    if (node !== undefined) return this.text(node, `${path}.${key}`, pattern, expectation)
    if (fallback === undefined) this.problem(map, `${path}.${key}`, 'is required')
    return fallback
  }
}
