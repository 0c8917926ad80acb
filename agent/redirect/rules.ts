// The packet rules of a captured namespace as data (reference §3), and the iptables-restore texts that bring them in,
// repair them and take them away again. Pure; apply.ts runs the texts in the namespace.
import { marks, ports } from '../../core/model/ports.ts'
import type { AddressFamily } from '../../core/net/address.ts'
import type { FilterState, TableName, TableState } from './inspect.ts'

/** Built-in chains that we hook, and the chain of ours that each jumps to. */
export const hooks = { PREROUTING: 'CULVERT_PREROUTING', OUTPUT: 'CULVERT_OUTPUT' } as const
export type Hook = keyof typeof hooks
export const ourChains: readonly string[] = Object.values(hooks)

export interface TableRules {
  readonly table: TableName
  /** Rules of our chain behind each hook, without `-A CHAIN`, spelled as iptables-save prints them. */
  readonly chains: Readonly<Record<Hook, readonly string[]>>
}

const tableOrder = ['raw', 'mangle', 'nat'] as const
const hex = (value: number): string => `0x${value.toString(16)}`
const proxyMark = `${hex(marks.proxy)}/${hex(marks.mask)}`
const replyMark = `${hex(marks.reply)}/${hex(marks.mask)}`
const notProxy = `-m mark ! --mark ${proxyMark}`
/** Conntrack zone that keeps the daemon's own DNS queries apart from the application's that it answers. */
const dnsZone = 1

/**
 * The rules of one family, in the order in which they are installed: nat is last, because iptables-restore is atomic
 * per table only and nat is what diverts traffic.
 */
export function rules(family: AddressFamily): readonly TableRules[] {
  const notLoopback = family === 'ipv4' ? '! -d 127.0.0.1/32' : '! -d ::1/128'
  return [
    {
      table: 'raw',
      chains: {
        PREROUTING: [`-p udp ${notProxy} -m udp --sport 53 -j CT --zone ${dnsZone}`],
        OUTPUT: [`-p udp -m mark --mark ${proxyMark} -m udp --dport 53 -j CT --zone ${dnsZone}`],
      },
    },
    {
      // A connection that the daemon opened towards the application carries the caller's address. Its replies must
      // come back to the daemon, routed locally by table 100 (routes.ts). The socket that the application accepts takes
      // the mark of the SYN, so that each reply is routed once (sysctls.ts); where it does not, as with SYN cookies, a
      // connmark remembers it, and each reply is routed again.
      table: 'mangle',
      chains: {
        PREROUTING: [
          `-m mark --mark ${proxyMark} -j CONNMARK --set-xmark ${replyMark}`,
          `-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m mark --mark ${proxyMark} -j MARK --set-xmark ${replyMark}`,
        ],
        OUTPUT: [`-m connmark --mark ${replyMark} -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff`],
      },
    },
    {
      table: 'nat',
      chains: {
        PREROUTING: [
          `-p tcp -m mark --mark ${replyMark} -j ACCEPT`,
          `${notLoopback} -p tcp -m tcp ! --dport ${ports.hbone} ${notProxy} -j REDIRECT --to-ports ${ports.inboundPlaintext}`,
        ],
        OUTPUT: [
          `! -o lo -p udp ${notProxy} -m udp --dport 53 -j REDIRECT --to-ports ${ports.dns}`,
          `${notLoopback} -p tcp -m tcp --dport 53 ${notProxy} -j REDIRECT --to-ports ${ports.dns}`,
          `-p tcp -m mark --mark ${replyMark} -j ACCEPT`,
          `${notLoopback} -o lo -j ACCEPT`,
          `${notLoopback} -p tcp ${notProxy} -j REDIRECT --to-ports ${ports.outbound}`,
        ],
      },
    },
  ]
}

/** Whether the table already holds exactly these rules with one jump to each of our chains. */
export function isInstalled(wanted: TableRules, state: TableState | undefined): boolean {
  return hookNames.every((hook) => {
    const chain = hooks[hook]
    const lines = state?.chains[chain]
    return jumpsOf(hook, state) === 1 && lines !== undefined && sameLines(lines, wanted.chains[hook])
  })
}

/** Whether every chain has as many rules as wanted and one jump: the check where iptables spells a rule another way. */
export function looksInstalled(wanted: TableRules, state: TableState | undefined): boolean {
  return hookNames.every((hook) => {
    const chain = hooks[hook]
    return jumpsOf(hook, state) === 1 && state?.chains[chain]?.length === wanted.chains[hook].length
  })
}

/** Jumps without conditions from a hook to our chain. */
function jumpsOf(hook: Hook, state: TableState | undefined): number {
  return state?.jumps.filter(({ chain, target, bare }) => bare && chain === hook && target === hooks[hook]).length ?? 0
}

/**
 * Text for `iptables-restore --noflush` that makes the given tables what they should be: our chains are created or
 * emptied and refilled, missing jumps inserted first in their hook, surplus ones deleted. Foreign rules are not
 * touched.
 */
export function installText(tables: readonly TableRules[], state: FilterState): string {
  return tables.map((wanted) => installTable(wanted, state.tables[wanted.table])).join('')
}

function installTable(wanted: TableRules, state: TableState | undefined): string {
  const lines = [`*${wanted.table}`, ...ourChains.map((chain) => `:${chain} - [0:0]`)]
  for (const hook of hookNames) {
    const chain = hooks[hook]
    lines.push(...wanted.chains[hook].map((rule) => `-A ${chain} ${rule}`))
    const present = jumpsOf(hook, state)
    if (present === 0) lines.push(`-I ${hook} 1 -j ${chain}`)
    for (let surplus = present; surplus > 1; surplus -= 1) lines.push(`-D ${hook} -j ${chain}`)
  }
  return `${[...lines, 'COMMIT'].join('\n')}\n`
}

/**
 * Text that takes away every jump to our chains and the chains themselves, nat first. Empty where nothing of ours is
 * left in these tables.
 */
export function removalText(state: FilterState, tables: readonly TableName[] = tableOrder): string {
  return tableOrder
    .filter((table) => tables.includes(table))
    .reverse()
    .map((table) => removeTable(table, state.tables[table]))
    .join('')
}

function removeTable(table: TableName, state: TableState | undefined): string {
  const chains = Object.keys(state?.chains ?? {})
  if (state === undefined || chains.length === 0) return ''
  return `${[
    `*${table}`,
    ...numberedDeletions(state.jumps),
    ...state.jumps.filter(({ bare }) => bare).map(({ chain, target }) => `-D ${chain} -j ${target}`),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
    'COMMIT',
  ].join('\n')}\n`
}

/** Jumps with conditions, which nobody but the workload itself can have made, go by number: from the last, as numbers shift. */
function numberedDeletions(jumps: TableState['jumps']): readonly string[] {
  return jumps
    .filter(({ bare }) => !bare)
    .sort((a, b) => b.number - a.number)
    .map(({ chain, number }) => `-D ${chain} ${number}`)
}

const hookNames = Object.keys(hooks) as readonly Hook[]

function sameLines(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, index) => line === b[index])
}
