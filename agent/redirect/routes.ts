// Routes of a captured namespace: replies of source-preserving connections lead home to the daemon, and virtual IPs
// have a route even where the namespace has no default one (the kernel answers ENETUNREACH before NAT sees the packet
// otherwise). Pure: looks at what is there and returns lines for `ip -batch -`.
import { marks } from '../../core/model/ports.ts'
import { type AddressFamily, familyOf } from '../../core/net/address.ts'
import { parseCidr } from '../../core/net/cidr.ts'
import type { Link, Route, RouteState } from './inspect.ts'

/** Reference §3: `ip rule fwmark 0x111/0xfff pref 32764 lookup 100`. */
const replyRule = {
  mark: `0x${marks.reply.toString(16)}`,
  mask: `0x${marks.mask.toString(16)}`,
  preference: 32764,
  table: '100',
}
/** Route protocol number of every route that we add, so that they are known as ours without a record. */
const ownProtocol = '111'

const everything: Record<AddressFamily, string> = { ipv4: '0.0.0.0/0', ipv6: '::/0' }
const ruleText = `fwmark ${replyRule.mark}/${replyRule.mask} pref ${replyRule.preference} lookup ${replyRule.table}`

export interface RoutePlan {
  /** Lines for `ip -batch -`; empty where nothing is missing. */
  readonly lines: readonly string[]
  /** Virtual IP ranges that no route could be found for: the namespace has no usable link in this family. */
  readonly unroutable: readonly string[]
}

/** What is missing in one family for the mesh to work. `vipRanges` may hold both families. */
export function planRoutes(family: AddressFamily, state: RouteState, vipRanges: readonly string[]): RoutePlan {
  const lines: string[] = []
  if (!hasReplyRule(state)) lines.push(`rule add ${ruleText}`)
  if (!state.routes.some(isReplyRoute)) {
    lines.push(`route add local ${everything[family]} dev lo table ${replyRule.table} proto ${ownProtocol}`)
  }
  const unroutable: string[] = []
  for (const range of vipRanges) {
    if (familyOf(range) !== family || isCovered(range, state.routes)) continue
    const link = linkForVips(state.links)
    if (link === undefined) unroutable.push(range)
    else lines.push(`route add ${range} dev ${link.name} proto ${ownProtocol}`)
  }
  return { lines, unroutable }
}

/** Lines that take away the rule and every route that carries our protocol number. */
export function planRouteRemoval(family: AddressFamily, state: RouteState): readonly string[] {
  const lines = hasReplyRule(state) ? [`rule del ${ruleText}`] : []
  for (const route of state.routes.filter((candidate) => candidate.protocol === ownProtocol)) {
    const type = route.type === undefined ? '' : `${route.type} `
    const destination = route.dst === 'default' ? everything[family] : route.dst
    const device = route.dev === undefined ? '' : ` dev ${route.dev}`
    const table = route.table === undefined ? '' : ` table ${route.table}`
    lines.push(`route del ${type}${destination}${device}${table} proto ${ownProtocol}`)
  }
  return lines
}

function hasReplyRule(state: RouteState): boolean {
  return state.rules.some(
    (rule) =>
      rule.priority === replyRule.preference &&
      rule.fwmark === replyRule.mark &&
      rule.fwmask === replyRule.mask &&
      rule.table === replyRule.table,
  )
}

function isReplyRoute(route: Route): boolean {
  return route.table === replyRule.table && route.type === 'local' && route.dst === 'default' && route.dev === 'lo'
}

/** Whether a unicast route of the main table leads to the whole range. */
function isCovered(range: string, routes: readonly Route[]): boolean {
  const wanted = parseCidr(range)
  if (wanted === undefined) return true
  return routes.some((route) => {
    if (route.table !== undefined || (route.type !== undefined && route.type !== 'unicast')) return false
    if (route.dst === 'default') return true
    const held = parseCidr(route.dst)
    if (held === undefined || held.family !== wanted.family || held.prefix > wanted.prefix) return false
    return parseCidr(`${wanted.address}/${held.prefix}`)?.address === held.address
  })
}

/**
 * The link whose address becomes the source of connections to a virtual IP: the first that is up and has an address,
 * loopback only where it alone carries one (the route then takes that address; loopback without one would yield none).
 */
function linkForVips(links: readonly Link[]): Link | undefined {
  const usable = links.filter((link) => link.up && link.addresses.some((address) => !address.startsWith('fe80:')))
  return usable.find((link) => !link.loopback) ?? usable[0]
}
