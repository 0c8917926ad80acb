// RateLimitPolicy: what it takes, what it refuses and in which words.
import t from 'tap'
import { ignoredFields } from '../../../core/model/ignored.ts'
import { withDefaults } from '../../../core/model/normalize.ts'
import { formatPath } from '../../../core/model/problem.ts'
import type { MeshObject } from '../../../core/model/resource.ts'
import { validateObject } from '../../../core/model/validate.ts'

const target = { kind: 'Service', name: 'orders' }
const rule = { name: 'all', limit: { requests: 10, per: '1s' } }

function policy(spec: object): MeshObject {
  const metadata = { name: 'orders', namespace: 'shop' }
  return { apiVersion: 'culvert.dev/v1alpha1', kind: 'RateLimitPolicy', metadata, spec } as MeshObject
}

function said(spec: object): readonly string[] {
  return validateObject(policy(spec)).map(({ at = [], message }) => `${formatPath(at)} ${message}`)
}

const ruleWith = (more: object) => said({ targetRefs: [target], rules: [{ ...rule, ...more }] })
const limitOf = (limit: object) => ruleWith({ limit: { ...rule.limit, ...limit } })
const targeting = (...targetRefs: readonly object[]) => said({ targetRefs, rules: [rule] })

t.test('a limit for each caller of a service is a policy', (t) => {
  t.strictSame(ruleWith({ keys: [{ type: 'Identity' }, { type: 'Header', name: 'x-customer' }] }), [])
  t.strictSame(ruleWith({ matches: [{ path: { type: 'Exact', value: '/pay' }, method: 'POST' }] }), [])
  t.strictSame(limitOf({ per: '24h', burst: 100 }), [])
  const group = 'gateway.networking.k8s.io'
  t.strictSame(targeting(target, { kind: 'HTTPRoute', group, name: 'orders', sectionName: 'pay' }), [])
  t.end()
})

t.test('targets and limits are given, once each', (t) => {
  t.match(said({}), ['spec.targetRefs is required', 'spec.rules is required'])
  t.match(said({ targetRefs: [], rules: [] }), [/targetRefs is empty/, /rules is empty/])
  t.match(targeting(target, target), [/targetRefs\[1\] is the same as targetRefs\[0\]/])
  t.match(said({ targetRefs: [target], rules: [rule, rule] }), [/rules\[1\] is the same as entry 0/])
  t.match(
    ruleWith({
      keys: [
        { type: 'Header', name: 'A' },
        { type: 'Header', name: 'a' },
      ],
    }),
    [/keys\[1\] is the same/],
  )
  t.end()
})

t.test('a target is named with the group of its kind', (t) => {
  t.match(targeting({ kind: 'Gateway', name: 'a' }), [/group must be "gateway.networking.k8s.io" for kind Gateway/])
  t.match(targeting({ ...target, group: 'apps' }), [/group must be "" for kind Service: leave it out/])
  t.match(targeting({ kind: 'Pod', name: 'a' }), [/"Pod" is not one of Service/])
  t.end()
})

t.test('keys have a name where they need one', (t) => {
  t.match(ruleWith({ keys: [{ type: 'Claim' }] }), [/name is required: say which claim/])
  t.match(ruleWith({ keys: [{ type: 'Path', name: '/a' }] }), [/has no meaning for type Path/])
  t.match(ruleWith({ keys: [{ type: 'Header', name: 'a b' }] }), [/"a b" is not a header name/])
  t.end()
})

t.test('limits are numbers that can be kept', (t) => {
  t.match(limitOf({ requests: 0 }), [/0 is out of range/])
  t.match(limitOf({ requests: 1.5 }), [/whole number/])
  t.match(limitOf({ per: '0s' }), [/less than 1ms/])
  t.match(limitOf({ per: 'minute' }), [/not a duration/])
  t.match(limitOf({ per: '25h' }), [/more than a day/])
  t.match(limitOf({ burst: 5 }), [/5 is less than the 10 requests of one period/])
  t.end()
})

t.test('an emptied field is refused, and nothing of a policy is without effect', (t) => {
  t.match(said({ targetRefs: [target], rules: [{ ...rule, keys: null }] }), [/has no value/])
  const filled = withDefaults(policy({ targetRefs: [target], rules: [rule], response: {} }))
  t.match(filled.spec, {
    targetRefs: [{ group: '' }],
    rules: [{ scope: 'Local' }],
    response: { headers: true, grpcStatus: 'RESOURCE_EXHAUSTED' },
  })
  t.strictSame(ignoredFields(filled), [])
  t.end()
})
