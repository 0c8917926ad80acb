// What labels and annotations say of waypoints, and what is told of those that say nothing.
import t from 'tap'
import { labelsMatch, namespaceLabels } from '../../../core/model/label-selector.ts'
import {
  waypointAnnotationsWithoutEffect,
  waypointChoice,
  waypointLabelsWithoutEffect,
  waypointSafety,
  waypointTraffic,
} from '../../../core/model/waypoint-labels.ts'

t.test('a choice is the own label with its own namespace, else that of Istio with its', async (t) => {
  const own = { 'culvert.dev/use-waypoint': 'a', 'culvert.dev/use-waypoint-namespace': 'n' }
  const istio = { 'istio.io/use-waypoint': 'b', 'istio.io/use-waypoint-namespace': 'm' }
  t.strictSame(waypointChoice({ ...own, ...istio }), { label: 'culvert.dev/use-waypoint', name: 'a', namespace: 'n' })
  t.strictSame(waypointChoice(istio), { label: 'istio.io/use-waypoint', name: 'b', namespace: 'm' })
  t.equal(waypointChoice(istio, false), undefined)
  t.equal(waypointChoice({ ...istio, 'culvert.dev/use-waypoint': 'none' }), 'none')
  t.match(waypointChoice({ ...istio, 'culvert.dev/use-waypoint': '' }), { name: 'b' })
  t.equal(waypointChoice({ 'istio.io/use-waypoint-namespace': 'm' }), undefined)
  t.equal(waypointChoice(Object.create({ 'istio.io/use-waypoint': 'b' })), undefined, 'not what is inherited')
})

t.test('what is not one of the words counts as absent, and is told', async (t) => {
  t.equal(waypointTraffic({ 'istio.io/waypoint-for': 'All' }), 'service')
  t.equal(waypointTraffic({ 'istio.io/waypoint-for': 'all' }, false), 'service')
  t.strictSame(waypointSafety({ 'culvert.dev/waypoint-bypass': 'true' }), {
    whenUnreachable: 'refuse',
    bypass: 'refused',
  })
  t.match(waypointLabelsWithoutEffect({ 'istio.io/waypoint-for': 'All', 'culvert.dev/use-waypoint': '' }), [
    /^culvert.dev\/use-waypoint is empty/,
    /"All" is not one of service, workload, all, none/,
  ])
  t.match(waypointAnnotationsWithoutEffect({ 'culvert.dev/waypoint-bypass': 'true' }), [
    /"true" is not one of refused, allowed/,
  ])
  t.match(waypointLabelsWithoutEffect({ 'istio.io/ingress-use-waypoint': 'true' }), [/no ingress gateways/])
  t.strictSame(waypointLabelsWithoutEffect({ 'istio.io/ingress-use-waypoint': 'false' }), [])
  const good = {
    'istio.io/use-waypoint': 'wp',
    'istio.io/use-waypoint-namespace': 'n',
    'istio.io/waypoint-for': 'none',
  }
  t.strictSame(waypointLabelsWithoutEffect(good), [])
})

t.test('a selector holds where all of its conditions do', async (t) => {
  const labels = { team: 'shop', tier: '' }
  const expression = (operator: string, key: string, ...values: readonly string[]) =>
    labelsMatch({ matchExpressions: [{ key, operator, values }] }, labels)
  t.equal(labelsMatch({}, labels), true)
  t.equal(labelsMatch({ matchLabels: { team: 'shop' } }, labels), true)
  t.equal(labelsMatch({ matchLabels: { team: 'shop', none: '' } }, labels), false)
  t.equal(expression('In', 'team', 'a', 'shop'), true)
  t.equal(expression('In', 'none', ''), false)
  t.equal(expression('NotIn', 'team', 'shop'), false)
  t.equal(expression('NotIn', 'none', 'shop'), true, 'as Kubernetes: a label that is absent is not in')
  t.equal(expression('Exists', 'tier'), true)
  t.equal(expression('DoesNotExist', 'tier'), false)
  t.equal(expression('Gt', 'tier', '1'), false, 'what nobody knows holds for nothing')
  t.equal(labelsMatch({ matchLabels: { constructor: 'x' } }, labels), false)
  const named = namespaceLabels('shop', { 'kubernetes.io/metadata.name': 'other' })
  t.equal(
    labelsMatch({ matchLabels: { 'kubernetes.io/metadata.name': 'shop' } }, named),
    true,
    'nobody writes that one',
  )
})
