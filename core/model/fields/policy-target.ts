// What a policy at a waypoint is for (`targetRefs`): the table of selector.ts with istiod's rule for which kinds those may be.
import type { ObjectCheck } from './field.ts'
import { clip } from './rules.ts'
import { targetRef, targetRefs } from './selector.ts'

const groupsByKind: Readonly<Record<string, string>> = {
  Service: '',
  ServiceEntry: 'networking.istio.io',
  Gateway: 'gateway.networking.k8s.io',
  GatewayClass: 'gateway.networking.k8s.io',
}

const known: ObjectCheck = (target, report) => {
  const { group = '', kind } = target as { readonly group?: string; readonly kind: string }
  const expected = Object.hasOwn(groupsByKind, kind) ? groupsByKind[kind] : undefined
  if (expected === undefined) {
    report(['kind'], `"${clip(kind)}" cannot be a target: name one of ${Object.keys(groupsByKind).join(', ')}`)
  } else if ((group === 'core' ? '' : group) !== expected) {
    report(['group'], `must be ${expected === '' ? 'empty' : expected} for kind ${kind}`)
  }
}

export const policyTargetRef = { ...targetRef, checks: [known] } as const

export const policyTargetRefs = { ...targetRefs, item: { ...targetRefs.item, checks: [known] } } as const
