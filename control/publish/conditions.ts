// Writes what compile says about each object into its status, only where that changed, so that a write never causes another.
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../../core/base/log.ts'
import { kindOf } from '../../core/model/kinds.ts'
import { type Condition, formatObjectKey, type MeshObject } from '../../core/model/resource.ts'
import { ApiError } from '../api/errors.ts'
import type { Resources } from '../api/resources.ts'
import type { Compiled } from '../compile/compile.ts'
import { keyOf } from '../compile/conditions.ts'

/** Types of conditions that compile decides; all others belong to somebody else and stay. */
const ownTypes: ReadonlySet<string> = new Set([
  'Accepted',
  'FullyEnforced',
  'WorkloadsCaptured',
  'AddressesUnique',
  'PortsResolved',
])

/** Kinds whose users do not expect conditions: they get some only where there is something to say. */
const quietKinds: ReadonlySet<string> = new Set(['Namespace', 'Service', 'WorkloadEntry'])

function isOwn(condition: Condition): boolean {
  return ownTypes.has(condition.type) || condition.type.startsWith('Ignored.')
}

/** The conditions that an object should have, or undefined where it has them. Pure. */
export function conditionsToWrite(
  object: MeshObject,
  computed: readonly Condition[],
): readonly Condition[] | undefined {
  const current = object.status?.conditions ?? []
  const own = current.filter(isOwn)
  const nothingToSay = computed.every(({ type, status }) => type === 'Accepted' && status === 'True')
  const wanted = nothingToSay && own.length === 0 && quietKinds.has(object.kind) ? [] : computed
  const same = own.length === wanted.length && wanted.every((condition) => own.some((held) => says(held, condition)))
  return same ? undefined : [...current.filter((condition) => !isOwn(condition)), ...wanted]
}

function says(held: Condition, wanted: Condition): boolean {
  const { lastTransitionTime: _, ...rest } = held
  return isDeepStrictEqual({ ...rest }, { ...wanted })
}

export class ConditionWriter {
  readonly #resources: Resources
  readonly #log: Logger
  #leads: () => boolean = () => false

  constructor(resources: Resources, log: Logger) {
    this.#resources = resources
    this.#log = log
  }

  /** Of several replicas only the leader writes. */
  writesWhile(leads: () => boolean): void {
    this.#leads = leads
  }

  async write(objects: readonly MeshObject[], compiled: Compiled, signal: AbortSignal): Promise<void> {
    for (const object of objects) {
      if (signal.aborted || !this.#leads()) return
      const computed = compiled.conditions.get(formatObjectKey(keyOf(object))) ?? []
      if (conditionsToWrite(object, computed) !== undefined) await this.#writeOne(object, computed)
    }
  }

  async #writeOne(object: MeshObject, computed: readonly Condition[]): Promise<void> {
    const { name, namespace = '', generation } = object.metadata
    const kind = kindOf(object.apiVersion, object.kind)
    if (kind === undefined) return
    try {
      await this.#resources.modifyStatus(kind, namespace, name, (current) => {
        // Somebody wrote meanwhile: its own compile will say what there is to say.
        const conditions = conditionsToWrite(current, computed)
        if (conditions === undefined || current.metadata.generation !== generation) return undefined
        const before = new Map((current.status?.conditions ?? []).map((condition) => [condition.type, condition]))
        return { ...current.status, conditions: conditions.map((condition) => stamped(condition, before)) }
      })
    } catch (error: unknown) {
      if (error instanceof ApiError && (error.reason === 'NotFound' || error.reason === 'Conflict')) return
      this.#log.warn({ err: error, object: formatObjectKey(keyOf(object)) }, 'conditions could not be written')
    }
  }
}

/** A condition keeps the time of its last change while its status stays. */
function stamped(condition: Condition, before: ReadonlyMap<string, Condition>): Condition {
  const earlier = before.get(condition.type)
  const kept = earlier?.status === condition.status ? earlier.lastTransitionTime : undefined
  return { ...condition, lastTransitionTime: kept ?? new Date().toISOString().replace(/\.\d+Z$/, 'Z') }
}
