// What an update may not change, kind by kind, as Kubernetes has it. resources.ts asks before every update.
import { isDeepStrictEqual } from 'node:util'
import type { Path } from '../../core/model/fields/field.ts'
import { type Problem, problemAt } from '../../core/model/problem.ts'
import type { MeshObject } from '../../core/model/resource.ts'

type Values = Readonly<Record<string, unknown>>
type Rule = (old: MeshObject, updated: MeshObject) => readonly Problem[]

function valueAt(object: MeshObject, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (value as Values | undefined)?.[step], object)
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === ''
}

/** A field that stays what it is once it has a value. */
function onceSet(...path: readonly string[]): Rule {
  return (old, updated) => {
    const [before, after] = [valueAt(old, path), valueAt(updated, path)]
    if (isUnset(before) || isDeepStrictEqual(before, after)) return []
    return [problemAt(path, `is immutable: it is ${String(before)}, and cannot become ${String(after)}`)]
  }
}

/** Secrets and ConfigMaps that say so keep their values. */
function sealed(...names: readonly string[]): Rule {
  return (old, updated) => {
    if (valueAt(old, ['immutable']) !== true) return []
    return [...names, 'immutable'].flatMap((name) => {
      if (isDeepStrictEqual(valueAt(old, [name]), valueAt(updated, [name]))) return []
      return [problemAt([name], 'is immutable: the object says immutable: true; delete it and create it anew')]
    })
  }
}

const virtualIp: Rule = (old, updated) =>
  updated.spec?.['type'] === 'ExternalName' ? [] : onceSet('spec', 'clusterIP')(old, updated)

/** Fields of a Pod's spec that may change; `images` below stand for those of its containers. */
const changeable: readonly string[] = ['activeDeadlineSeconds', 'terminationGracePeriodSeconds', 'ephemeralContainers']

/** The spec of a Pod without what may change. */
function fixedPart(spec: Values, binding: boolean): Values {
  const imageless = (list: unknown): unknown =>
    Array.isArray(list) ? list.map((container: Values) => ({ ...container, image: '' })) : list
  const entries = Object.entries(spec).filter(([name]) => !changeable.includes(name) && name !== 'tolerations')
  const fixed = Object.fromEntries(entries.filter(([name]) => name !== 'nodeName' || !binding))
  const { containers, initContainers } = spec
  return {
    ...fixed,
    containers: imageless(containers),
    ...(initContainers === undefined ? {} : { initContainers: imageless(initContainers) }),
  }
}

/** Tolerations may only be added; a node may be given once. */
const podSpec: Rule = (old, updated) => {
  const [before, after] = [(old.spec ?? {}) as Values, (updated.spec ?? {}) as Values]
  const binding = isUnset(before['nodeName'])
  if (!isDeepStrictEqual(fixedPart(before, binding), fixedPart(after, binding))) {
    const may = `the images of containers, ${changeable.join(', ')}, further tolerations and a nodeName that was not set`
    return [problemAt(['spec'], `only these may change: ${may}; delete the pod and create it anew`)]
  }
  const kept = (after['tolerations'] ?? []) as readonly unknown[]
  const lost = ((before['tolerations'] ?? []) as readonly unknown[]).some(
    (toleration) => !kept.some((other) => isDeepStrictEqual(other, toleration)),
  )
  return lost ? [problemAt(['spec', 'tolerations'], 'may only be added to')] : []
}

const rules: Readonly<Record<string, readonly Rule[]>> = {
  Service: [virtualIp],
  GatewayClass: [onceSet('spec', 'controllerName')],
  Secret: [onceSet('type'), sealed('data')],
  ConfigMap: [sealed('data', 'binaryData')],
  EndpointSlice: [onceSet('addressType')],
  Node: [onceSet('spec', 'providerID'), onceSet('spec', 'podCIDR')],
  Pod: [podSpec],
}

/** What the update changes and may not. */
export function immutableProblems(old: MeshObject, updated: MeshObject): readonly Problem[] {
  if (!Object.hasOwn(rules, updated.kind)) return []
  return rules[updated.kind]!.flatMap((rule) => rule(old, updated))
}
