// PeerAuthentication: which mode holds for a workload. Precedence as in Istio: workload before namespace before mesh, of
// several of one level the oldest; UNSET inherits from the next level; DISABLE is PERMISSIVE (peers may still use the tunnel).
import type { PeerAuthenticationSpec } from '../../core/model/fields/peer-authentication.ts'
import { peerAuthenticationKind } from '../../core/model/kinds/istio.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import type { PeerAuthenticationMode } from '../../core/model/types.ts'
import { type Finding, notAccepted } from './conditions.ts'
import { everywhere, isEmpty, type Labels, Selectors } from './order.ts'
import type { Rule, Scope } from './rule.ts'
import { topic } from './topics.ts'

type Mode = PeerAuthenticationMode['mode']

interface Level {
  /** `namespace/name`. */
  readonly source: string
  readonly spec: PeerAuthenticationSpec
}

/** Those without selector, by namespace; `everywhere` for the mesh. */
const scopeWide = topic<Level>('peer-authentication')
const selecting = new Selectors<Level & { readonly selector: Labels }>('peer-authentication-selector')

interface Place {
  readonly spec: PeerAuthenticationSpec
  readonly namespace: string
  readonly root: boolean
  readonly selector: Labels | undefined
}

function placeOf(object: MeshObject, scope: Scope): Place {
  const spec = (object.spec ?? {}) as PeerAuthenticationSpec
  const { namespace = '' } = object.metadata
  const labels = spec.selector?.matchLabels
  const selector = isEmpty(labels) ? undefined : labels
  return { spec, namespace, root: scope.settings.rootNamespaces.includes(namespace), selector }
}

export const peerAuthenticationOffer: Rule = {
  kind: peerAuthenticationKind,
  run(object, scope) {
    const { spec, namespace, root, selector } = placeOf(object, scope)
    const level = { source: `${namespace}/${object.metadata.name}`, spec }
    if (selector === undefined) scope.offer(scopeWide(root ? everywhere : namespace), level)
    else if (!root) selecting.offer(scope, namespace, { ...level, selector })
  },
}

/** Says which policies take no effect; what the others do stands in the workloads. */
export const peerAuthenticationRule: Rule = {
  kind: peerAuthenticationKind,
  run(object, scope) {
    const { namespace, root, selector } = placeOf(object, scope)
    if (selector !== undefined) {
      if (root) scope.tell(rootSelector)
      return
    }
    const [holding] = scope.read(scopeWide(root ? everywhere : namespace))
    if (holding !== undefined && holding.key !== scope.key) scope.tell(overruled(holding.name))
  },
}

/** The mode that holds for a workload with these labels. */
export function peerAuthenticationOf(namespace: string, labels: Labels, scope: Scope): PeerAuthenticationMode {
  const [workload] = selecting.selecting(scope, namespace, labels)
  const [own] = scope.read(scopeWide(namespace))
  const [mesh] = scope.read(scopeWide(everywhere))
  return resolve(workload?.value, own?.value, mesh?.value)
}

const rootSelector = notAccepted(
  'SelectorInRootNamespace',
  'a PeerAuthentication of the root namespace holds for the whole mesh and takes no selector: move it to the workload',
)

function overruled(older: string): Finding {
  return notAccepted('Overruled', `${older} of the same scope is older and holds instead`)
}

function resolve(workload?: Level, namespace?: Level, mesh?: Level): PeerAuthenticationMode {
  const levels = [workload, namespace, mesh].filter((level) => level !== undefined)
  const deciding = levels.find(({ spec }) => modeOf(spec.mtls?.mode) !== undefined)
  const mode = modeOf(deciding?.spec.mtls?.mode) ?? 'PERMISSIVE'
  const ports = Object.fromEntries(
    Object.entries(workload?.spec.portLevelMtls ?? {}).map(([port, mtls]) => [port, modeOf(mtls.mode) ?? mode]),
  )
  const source = deciding ?? (Object.keys(ports).length > 0 ? workload : undefined)
  return { mode, ports, ...(source === undefined ? {} : { source: source.source }) }
}

/** Undefined: inherit. */
function modeOf(text: string | undefined): Mode | undefined {
  if (text === 'STRICT') return 'STRICT'
  return text === 'PERMISSIVE' || text === 'DISABLE' ? 'PERMISSIVE' : undefined
}
