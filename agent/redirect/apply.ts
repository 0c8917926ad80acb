// Brings the redirection of one workload's namespace to what it should be, or takes it away: looks at what is there,
// plans with the pure parts (rules, routes, sysctls), runs the differences, looks again. The reconciler (enroll/)
// calls it again and again.
import { asMeshError, MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { AddressFamily } from '../../core/net/address.ts'
import type { RunInNamespace } from './command.ts'
import { type FilterState, parseRoutes, parseSave, type RouteState, routeQueries } from './inspect.ts'
import { planRouteRemoval, planRoutes } from './routes.ts'
import { installText, isInstalled, looksInstalled, removalText, rules, type TableRules } from './rules.ts'
import {
  desiredSysctls,
  differing,
  ipv6Disabled,
  parseSysctls,
  readScript,
  type Sysctls,
  sysctlNames,
  writeScript,
} from './sysctls.ts'

export interface RedirectTarget {
  /** `namespace/name`, for messages. */
  readonly workload: string
  /** Path of the pinned network namespace. */
  readonly netns: string
  /** Ports on which the workload listens: kept out of the ephemeral range. */
  readonly ports: readonly number[]
  readonly vipRanges: readonly string[]
}

/** What must be known to put the namespace back as it was. Written to disk before anything is changed. */
export interface RedirectRecord {
  /** Kernel settings before enrolment. */
  readonly sysctls: Sysctls
}

export interface RedirectorOptions {
  readonly host: string
  readonly run: RunInNamespace
  readonly log: Logger
}

interface FamilyState {
  readonly family: AddressFamily
  readonly filter: FilterState
  readonly routes: RouteState
}

interface NamespaceState {
  readonly families: readonly FamilyState[]
  readonly sysctls: Sysctls
}

const programs = {
  ipv4: { save: 'iptables-save', restore: 'iptables-restore', ip: '-4' },
  ipv6: { save: 'ip6tables-save', restore: 'ip6tables-restore', ip: '-6' },
} as const
/** Seconds to wait for another user of iptables. */
const lockSeconds = '5'

export class Redirector {
  readonly #host: string
  readonly #run: RunInNamespace
  readonly #log: Logger
  /** How this host's iptables spells our tables, where it is not our spelling: canonical text → what it printed. */
  readonly #spellings = new Map<string, string>()

  constructor(options: RedirectorOptions) {
    this.#host = options.host
    this.#run = options.run
    this.#log = options.log
  }

  /**
   * Installs or repairs. `remember` is awaited with the record before the first change where there was none. Returns
   * what was changed: empty when everything was as it should be. Throws REDIRECT_FAILED; then parts may be in place,
   * calling again goes on.
   */
  async apply(
    target: RedirectTarget,
    record: RedirectRecord | undefined,
    remember: (record: RedirectRecord) => Promise<void>,
  ): Promise<readonly string[]> {
    try {
      const state = await this.#inspect(target.netns)
      const kept = record ?? { sysctls: withoutIpv6Flag(state.sysctls) }
      if (record === undefined) await remember(kept)
      return await this.#install(target, state, kept)
    } catch (error: unknown) {
      throw this.#explain(target, 'install', error)
    }
  }

  /**
   * Takes nat away and nothing else: new connections go their own way, those that the daemon has go on. Safe where nothing is
   * installed.
   */
  async undivert(target: Pick<RedirectTarget, 'workload' | 'netns'>): Promise<void> {
    try {
      for (const { family, filter } of (await this.#inspect(target.netns)).families) {
        await this.#restore(target.netns, family, removalText(filter, ['nat']))
      }
    } catch (error: unknown) {
      throw this.#explain(target, 'remove', error)
    }
  }

  /**
   * Takes every trace away: nat first, then mangle and raw, routes, kernel settings. Safe where nothing is installed.
   */
  async remove(target: Pick<RedirectTarget, 'workload' | 'netns'>, record: RedirectRecord | undefined): Promise<void> {
    try {
      const state = await this.#inspect(target.netns)
      for (const { family, filter } of state.families) {
        await this.#restore(target.netns, family, removalText(filter))
      }
      for (const { family, routes } of state.families) {
        await this.#batch(target.netns, family, planRouteRemoval(family, routes))
      }
      await this.#set(target.netns, differing(record?.sysctls ?? {}, state.sysctls))
      const left = (await this.#inspect(target.netns)).families.filter(({ filter }) => removalText(filter) !== '')
      if (left.length > 0) throw new MeshError('REDIRECT_FAILED', 'rules of ours are still there after their removal')
    } catch (error: unknown) {
      throw this.#explain(target, 'remove', error)
    }
  }

  async #install(target: RedirectTarget, state: NamespaceState, record: RedirectRecord): Promise<readonly string[]> {
    const changes: string[] = []
    for (const { family, routes } of state.families) {
      if (family === 'ipv6' && !ipv6Usable(state.sysctls)) continue
      const plan = planRoutes(family, routes, target.vipRanges)
      if (plan.unroutable.length > 0) {
        this.#log.debug({ workload: target.workload, ranges: plan.unroutable }, 'no link to route virtual IPs through')
      }
      await this.#batch(target.netns, family, plan.lines)
      changes.push(...plan.lines.map((line) => `${family} ${line}`))
    }
    const settings = differing(desiredSysctls(record.sysctls, target.ports), state.sysctls)
    await this.#set(target.netns, settings)
    changes.push(...Object.entries(settings).map(([name, value]) => `${name}=${value}`))
    for (const { family, filter } of state.families) {
      const wrong = rules(family).filter((table) => !this.#isInPlace(table, filter))
      if (wrong.length === 0) continue
      await this.#restore(target.netns, family, installText(wrong, filter))
      await this.#verify(target.netns, family, wrong)
      changes.push(...wrong.map((table) => `${family} ${table.table} rules`))
    }
    return changes
  }

  #isInPlace(wanted: TableRules, filter: FilterState): boolean {
    const state = filter.tables[wanted.table]
    if (state === undefined) return false
    return isInstalled(wanted, state) || this.#spellings.get(JSON.stringify(wanted)) === JSON.stringify(state)
  }

  async #verify(netns: string, family: AddressFamily, tables: readonly TableRules[]): Promise<void> {
    const filter = parseSave(await this.#run(netns, [programs[family].save]))
    for (const wanted of tables) {
      const state = filter.tables[wanted.table]
      if (!looksInstalled(wanted, state)) {
        throw new MeshError(
          'REDIRECT_FAILED',
          `the ${wanted.table} table of ${family} does not hold what was just installed`,
        )
      }
      if (!isInstalled(wanted, state)) this.#spellings.set(JSON.stringify(wanted), JSON.stringify(state))
    }
  }

  async #inspect(netns: string): Promise<NamespaceState> {
    const sysctls = parseSysctls(await this.#run(netns, ['sh', '-s'], readScript([...sysctlNames, ipv6Disabled])))
    const families = (['ipv4', 'ipv6'] as const).filter((family) => family === 'ipv4' || ipv6Disabled in sysctls)
    return { sysctls, families: await Promise.all(families.map((family) => this.#inspectFamily(netns, family))) }
  }

  async #inspectFamily(netns: string, family: AddressFamily): Promise<FamilyState> {
    const [saved, routes] = await Promise.all([
      this.#run(netns, [programs[family].save]),
      this.#run(netns, ['ip', programs[family].ip, '-json', '-batch', '-'], routeQueries),
    ])
    return { family, filter: parseSave(saved), routes: parseRoutes(routes) }
  }

  async #restore(netns: string, family: AddressFamily, text: string): Promise<void> {
    if (text !== '') await this.#run(netns, [programs[family].restore, '--noflush', '-w', lockSeconds], text)
  }

  async #batch(netns: string, family: AddressFamily, lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await this.#run(netns, ['ip', programs[family].ip, '-batch', '-'], `${lines.join('\n')}\n`)
  }

  async #set(netns: string, values: Sysctls): Promise<void> {
    if (Object.keys(values).length > 0) await this.#run(netns, ['sh', '-s'], writeScript(values))
  }

  #explain(target: { readonly workload: string; readonly netns: string }, verb: string, error: unknown): MeshError {
    const cause = asMeshError(error, 'REDIRECT_FAILED')
    return new MeshError(
      'REDIRECT_FAILED',
      `host ${this.#host}, workload ${target.workload}: could not ${verb} the redirection: ${cause.message} ` +
        `(look with: nsenter --net=${target.netns} iptables-save)`,
      { cause },
    )
  }
}

function ipv6Usable(sysctls: Sysctls): boolean {
  return sysctls[ipv6Disabled] === '0'
}

function withoutIpv6Flag(sysctls: Sysctls): Sysctls {
  return Object.fromEntries(Object.entries(sysctls).filter(([name]) => name !== ipv6Disabled))
}
