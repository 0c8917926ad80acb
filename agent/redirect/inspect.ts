// Reads what iptables-save, `ip -json` and /proc/sys say about a namespace into plain values. Pure; used by apply.ts.
import { MeshError } from '../../core/base/errors.ts'

export type TableName = 'raw' | 'mangle' | 'nat'

export interface Jump {
  /** The chain that jumps. */
  readonly chain: string
  /** Our chain. */
  readonly target: string
  /** Position in the chain, from 1. */
  readonly number: number
  /** Whether the rule is the bare jump, without conditions. */
  readonly bare: boolean
}

/** What one table holds of ours. */
export interface TableState {
  /** Our chains that exist → their rules without `-A CHAIN`. */
  readonly chains: Readonly<Record<string, readonly string[]>>
  /** Every rule, in any chain, that jumps to one of our chains. */
  readonly jumps: readonly Jump[]
}

export interface FilterState {
  readonly tables: Readonly<Partial<Record<TableName, TableState>>>
}

const ownChain = /^CULVERT_[A-Z0-9_]{1,20}$/
const chainName = /^[A-Za-z0-9_.][A-Za-z0-9_.:-]*$/
const chainLine = /^:(\S+) /
const ruleLine = /^-A (\S+) ?(.*)$/
const jumpPart = /(?:^| )-[jg] (\S+)/

/** Picks our chains and the jumps to them out of the output of `iptables-save`. */
export function parseSave(text: string): FilterState {
  const tables: Partial<Record<TableName, { chains: Record<string, string[]>; jumps: Jump[] }>> = {}
  let current: { chains: Record<string, string[]>; jumps: Jump[] } | undefined
  let lengths = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      const name = line.slice(1).trim()
      current = { chains: {}, jumps: [] }
      lengths = new Map()
      if (name === 'raw' || name === 'mangle' || name === 'nat') tables[name] = current
    } else if (current !== undefined) readLine(line, current, lengths)
  }
  return { tables }
}

function readLine(
  line: string,
  table: { chains: Record<string, string[]>; jumps: Jump[] },
  lengths: Map<string, number>,
): void {
  const declared = chainLine.exec(line)?.[1]
  if (declared !== undefined && ownChain.test(declared)) table.chains[declared] = []
  const rule = ruleLine.exec(line)
  if (rule === null) return
  const [, chain = '', body = ''] = rule
  const number = (lengths.get(chain) ?? 0) + 1
  lengths.set(chain, number)
  if (ownChain.test(chain)) {
    table.chains[chain] = [...(table.chains[chain] ?? []), body]
    return
  }
  const target = jumpPart.exec(body)?.[1]
  // The namespace belongs to the workload, so the text may be forged (a comment may hold line breaks): nothing of a rule but
  // checked names ever goes back to iptables, which runs with the host's rights.
  if (target === undefined || !ownChain.test(target) || !chainName.test(chain)) return
  table.jumps.push({ chain, target, number, bare: body === `-j ${target}` })
}

export interface PolicyRule {
  readonly priority: number
  readonly fwmark?: string
  readonly fwmask?: string
  readonly table: string
}

export interface Route {
  readonly type?: string
  readonly dst: string
  readonly dev?: string
  /** Absent for the main table. */
  readonly table?: string
  readonly protocol?: string
}

export interface Link {
  readonly name: string
  readonly up: boolean
  readonly loopback: boolean
  /** Addresses of the family asked for, of any scope but host. */
  readonly addresses: readonly string[]
}

export interface RouteState {
  readonly rules: readonly PolicyRule[]
  readonly routes: readonly Route[]
  readonly links: readonly Link[]
}

/** The three commands whose answers `parseRoutes` reads, for `ip -json -batch -`. */
export const routeQueries = 'rule show\nroute show table all\naddress show\n'

/** Reads the answers to `routeQueries`: one JSON array per line, in that order. */
export function parseRoutes(text: string): RouteState {
  const [rules, routes, links] = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(parseArray)
  if (rules === undefined || routes === undefined || links === undefined) {
    throw new MeshError('REDIRECT_FAILED', `ip answered ${JSON.stringify(text.slice(0, 200))}, not three JSON arrays`)
  }
  return { rules: rules.map(readRule), routes: routes.map(readRoute), links: links.map(readLink) }
}

type Row = Readonly<Record<string, unknown>>

function parseArray(line: string): readonly Row[] {
  const value: unknown = JSON.parse(line)
  return Array.isArray(value) ? value.filter((row): row is Row => typeof row === 'object' && row !== null) : []
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function readRule(row: Row): PolicyRule {
  const fwmark = text(row['fwmark'])
  const fwmask = text(row['fwmask'])
  return {
    priority: Number(row['priority']),
    table: String(row['table']),
    ...(fwmark === undefined ? {} : { fwmark }),
    ...(fwmask === undefined ? {} : { fwmask }),
  }
}

function readRoute(row: Row): Route {
  const fields = { type: text(row['type']), dev: text(row['dev']), table: text(row['table']) }
  const protocol = text(row['protocol'])
  return {
    dst: String(row['dst']),
    ...(fields.type === undefined ? {} : { type: fields.type }),
    ...(fields.dev === undefined ? {} : { dev: fields.dev }),
    ...(fields.table === undefined ? {} : { table: fields.table }),
    ...(protocol === undefined ? {} : { protocol }),
  }
}

function readLink(row: Row): Link {
  const flags = Array.isArray(row['flags']) ? row['flags'] : []
  const addresses = Array.isArray(row['addr_info']) ? (row['addr_info'] as readonly Row[]) : []
  return {
    name: String(row['ifname']),
    up: flags.includes('UP'),
    loopback: flags.includes('LOOPBACK'),
    addresses: addresses.filter((entry) => entry['scope'] !== 'host').map((entry) => String(entry['local'])),
  }
}
