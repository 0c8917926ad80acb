// PeerAuthentication: which mode holds for a workload. Precedence as in Istio: workload before namespace before mesh, of
// several of one level the oldest; UNSET inherits from the next level; DISABLE is PERMISSIVE (peers may still use the tunnel).

import type { CompileSettings } from '../../../control/compile/settings.ts'
import type { PeerAuthenticationSpec } from '../../../core/model/fields/peer-authentication.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import type { PeerAuthenticationMode } from '../../../core/model/types.ts'
import { type Findings, nameOf, notAccepted } from './conditions.ts'
import { isEmpty, olderFirst, selects } from './order.ts'

type Mode = PeerAuthenticationMode['mode']
type Policy = MeshObject & { readonly spec?: PeerAuthenticationSpec }
type Labels = Readonly<Record<string, string>>

export type PeerAuthenticationOf = (namespace: string, labels: Labels) => PeerAuthenticationMode

/** Sorts the policies into levels once; the result answers for one workload. */
export function compilePeerAuthentication(
  objects: readonly MeshObject[],
  settings: CompileSettings,
  findings: Findings,
): PeerAuthenticationOf {
  const byNamespace = new Map<string, Policy>()
  const bySelector = new Map<string, Policy[]>()
  let mesh: Policy | undefined
  for (const policy of ([...objects] as Policy[]).sort(olderFirst)) {
    const namespace = policy.metadata.namespace ?? ''
    const root = settings.rootNamespaces.includes(namespace)
    if (!isEmpty(policy.spec?.selector?.matchLabels)) {
      if (root) findings.add(policy, rootSelector)
      else bySelector.set(namespace, [...(bySelector.get(namespace) ?? []), policy])
    } else if (root) {
      if (mesh === undefined) mesh = policy
      else findings.add(policy, overruled(mesh))
    } else {
      const older = byNamespace.get(namespace)
      if (older === undefined) byNamespace.set(namespace, policy)
      else findings.add(policy, overruled(older))
    }
  }
  return (namespace, labels) => {
    const selected = bySelector
      .get(namespace)
      ?.find((policy) => selects(policy.spec?.selector?.matchLabels ?? {}, labels))
    return resolve(selected, byNamespace.get(namespace), mesh)
  }
}

const rootSelector = notAccepted(
  'SelectorInRootNamespace',
  'a PeerAuthentication of the root namespace holds for the whole mesh and takes no selector: move it to the workload',
)

function overruled(older: MeshObject): ReturnType<typeof notAccepted> {
  return notAccepted('Overruled', `${nameOf(older)} of the same scope is older and holds instead`)
}

function resolve(workload?: Policy, namespace?: Policy, mesh?: Policy): PeerAuthenticationMode {
  const levels = [workload, namespace, mesh].filter((policy) => policy !== undefined)
  const deciding = levels.find((policy) => modeOf(policy.spec?.mtls?.mode) !== undefined)
  const mode = modeOf(deciding?.spec?.mtls?.mode) ?? 'PERMISSIVE'
  const ports = Object.fromEntries(
    Object.entries(workload?.spec?.portLevelMtls ?? {}).map(([port, mtls]) => [port, modeOf(mtls.mode) ?? mode]),
  )
  const source = deciding ?? (Object.keys(ports).length > 0 ? workload : undefined)
  return { mode, ports, ...(source === undefined ? {} : { source: nameOf(source) }) }
}

/** Undefined: inherit. */
function modeOf(text: string | undefined): Mode | undefined {
  if (text === 'STRICT') return 'STRICT'
  return text === 'PERMISSIVE' || text === 'DISABLE' ? 'PERMISSIVE' : undefined
}
