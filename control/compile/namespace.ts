// Namespace: whether its workloads are captured and which waypoint they have, where they do not say so themselves.
import { type EnrolmentMode, enrolmentMode } from '../../core/model/enrolment.ts'
import { namespaceKind } from '../../core/model/kinds/core.ts'
import type { Rule } from './rule.ts'
import { topic } from './topics.ts'
import { offerWaypoint } from './waypoints/attachment.ts'

/** By the namespace's name. */
export const namespaceEnrolment = topic<EnrolmentMode>('namespace-enrolment')

export const namespaceOffer: Rule = {
  kind: namespaceKind,
  run({ metadata: { name, labels = {} } }, scope) {
    const mode = enrolmentMode(labels, scope.settings.istioLabels)
    if (mode !== undefined) scope.offer(namespaceEnrolment(name), mode)
    offerWaypoint(name, labels, scope)
  },
}
