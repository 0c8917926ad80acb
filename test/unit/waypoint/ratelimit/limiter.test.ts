// Keys, several limits at once, dry run, and what the client hears.
import fc from 'fast-check'
import t from 'tap'
import { limitFields, refusal } from '../../../../waypoint/ratelimit/answer.ts'
import { type KeyPart, type LimitedRequest, limitKey } from '../../../../waypoint/ratelimit/limit-key.ts'
import { checkLimits, type RateLimit } from '../../../../waypoint/ratelimit/limiter.ts'
import { LocalBuckets } from '../../../../waypoint/ratelimit/token-bucket.ts'

function request(more: Partial<LimitedRequest> = {}, headers: Record<string, readonly string[]> = {}): LimitedRequest {
  const header = (name: string) => headers[name] ?? []
  return { identity: 'spiffe://cluster.local/ns/a/sa/b', method: 'GET', path: '/p', claims: undefined, header, ...more }
}

t.test('each part of a key tells requests apart, and nothing else does', (t) => {
  const same = (part: KeyPart, one: LimitedRequest, other: LimitedRequest) =>
    limitKey('l', [part], one) === limitKey('l', [part], other)
  t.notOk(same({ by: 'identity' }, request(), request({ identity: 'spiffe://cluster.local/ns/a/sa/c' })))
  t.ok(same({ by: 'identity' }, request(), request({ path: '/q', method: 'PUT' })))
  t.notOk(same({ by: 'path' }, request(), request({ path: '/q' })))
  t.ok(same({ by: 'path' }, request(), request({ path: '/p?x=1' })))
  t.notOk(same({ by: 'method' }, request(), request({ method: 'PUT' })))
  const user: KeyPart = { by: 'header', name: 'X-User' }
  t.notOk(same(user, request({}, { 'x-user': ['a'] }), request({}, { 'x-user': ['b'] })))
  t.notOk(same(user, request({}, { 'x-user': ['a'] }), request({}, { 'x-user': ['a', 'b'] })))
  t.notOk(same(user, request({}, { 'x-user': [''] }), request()), 'empty is not absent')
  const claim: KeyPart = { by: 'claim', path: ['realm', 'id'] }
  t.notOk(same(claim, request({ claims: { realm: { id: 1 } } }), request({ claims: { realm: { id: '1' } } })))
  t.ok(same(claim, request({ claims: { realm: 'x' } }), request()))
  t.ok(same({ by: 'claim', path: ['constructor'] }, request({ claims: {} }), request()))
  t.not(limitKey('l', [], request()), limitKey('m', [], request()))
  t.end()
})

t.test('no two lists of values have the same key, and a key has a bounded length', (t) => {
  const parts: readonly KeyPart[] = [{ by: 'header', name: 'a' }, { by: 'path' }]
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (a, b, c, d) => {
      const clean = (text: string) => text.replace(/[?#]/g, '')
      const key = (header: string, path: string) =>
        limitKey('l', parts, request({ path: clean(path) }, { a: [header] }))
      return (key(a, b) === key(c, d)) === (a === c && clean(b) === clean(d))
    }),
  )
  t.ok(limitKey('l', parts, request({}, { a: ['x'.repeat(65_536)] })).length <= 256)
  t.end()
})

const limit = (id: string, capacity: number, more: Partial<RateLimit> = {}): RateLimit => ({
  id,
  name: id,
  size: { capacity, perSecond: 1 },
  key: [],
  ...more,
})

t.test('all limits must allow, and one that refuses costs nothing at the others', (t) => {
  const buckets = new LocalBuckets(100)
  const limits = [limit('wide', 5), limit('narrow', 1)]
  t.ok(checkLimits(limits, request(), buckets, 0).allowed)
  for (let count = 0; count < 10; count += 1) t.same(checkLimits(limits, request(), buckets, 0).refusedBy, ['narrow'])
  let left = 0
  while (checkLimits(limits.slice(0, 1), request(), buckets, 0).allowed) left += 1
  t.equal(left, 4)
  t.same(checkLimits([], request(), buckets, 0), { allowed: true, refusedBy: [], wouldRefuse: [], states: [] })
  t.end()
})

t.test('a dry run counts and tells, refuses nothing, and is not told to the client', (t) => {
  const buckets = new LocalBuckets(100)
  const limits = [limit('dry', 1, { dryRun: true })]
  checkLimits(limits, request(), buckets, 0)
  t.same(checkLimits(limits, request(), buckets, 0), {
    allowed: true,
    refusedBy: [],
    wouldRefuse: ['dry'],
    states: [],
  })
  t.end()
})

t.test('the client hears the policies, what is left of the tightest, and when to come again', (t) => {
  const buckets = new LocalBuckets(100)
  const limits = [limit('per "user"', 100, { size: { capacity: 100, perSecond: 100 / 60 } }), limit('näher', 2)]
  const { states } = checkLimits(limits, request(), buckets, 0)
  const policies = ['ratelimit-policy', '"per \\"user\\"";q=100;w=60, "n?her";q=2;w=2']
  t.same(limitFields(states), [policies, ['ratelimit', '"n?her";r=1;t=1']])
  checkLimits(limits, request(), buckets, 0)
  const refused = checkLimits(limits, request(), buckets, 500)
  const headers = [['retry-after', '1'], policies, ['ratelimit', '"n?her";r=0;t=2']]
  t.same(refusal(refused.states, false), { httpStatus: 429, headers })
  t.same(refusal(refused.states, true), { httpStatus: 200, grpcStatus: 8, headers })
  t.equal(refusal(refused.states, true, 14).grpcStatus, 14)
  t.same(limitFields([]), [])
  t.same(refusal([], false), { httpStatus: 429, headers: [['retry-after', '1']] })
  t.end()
})
