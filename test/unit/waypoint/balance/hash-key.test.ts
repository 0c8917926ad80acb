// Where the key of consistent hashing comes from, and the cookie for who has none.
import t from 'tap'
import { hash32 } from '../../../../waypoint/balance/hash.ts'
import { type HashedRequest, type HashKeyPolicy, hashKey } from '../../../../waypoint/balance/hash-key.ts'

function request(headers: Record<string, readonly string[]> = {}, path = '/'): HashedRequest {
  return { header: (name) => headers[name] ?? [], path, source: '10.0.0.7' }
}
const key = (policy: HashKeyPolicy, asked: HashedRequest) => hashKey(policy, asked, () => 'made')

t.test('header: its value, many in any order, nothing without', (t) => {
  const policy: HashKeyPolicy = { by: 'header', name: 'X-User' }
  t.same(key(policy, request({ 'x-user': ['ann'] })), { hash: hash32('ann') })
  t.same(key(policy, request({ 'x-user': ['b', 'a'] })), key(policy, request({ 'x-user': ['a', 'b'] })))
  t.same(key(policy, request({ 'x-user': [''] })), { hash: hash32('') })
  t.same(key(policy, request()), {})
  t.end()
})

t.test('source: the address of the caller', (t) => {
  t.same(key({ by: 'source' }, request()), { hash: hash32('10.0.0.7') })
  t.end()
})

t.test('query: the first value, decoded, case-sensitive', (t) => {
  const policy: HashKeyPolicy = { by: 'query', name: 'user' }
  t.same(key(policy, request({}, '/a?x=1&user=an%6e&user=b')), { hash: hash32('ann') })
  t.same(key(policy, request({}, '/a?user=b#user=c')), { hash: hash32('b') })
  t.same(key(policy, request({}, '/a?User=b')), {})
  t.same(key(policy, request({}, '/user=b')), {})
  t.end()
})

t.test('cookie: the value where there is one', (t) => {
  const policy: HashKeyPolicy = { by: 'cookie', name: 'sid', ttlMs: 0 }
  t.same(key(policy, request({ cookie: ['a=1; sid=x; sid=y'] })), { hash: hash32('x') })
  t.same(key(policy, request({ cookie: ['a=1', 'sid="q"'] })), { hash: hash32('q') })
  t.same(key(policy, request({ cookie: ['xsid=1; sid2=3; =; nothing'] })), {
    hash: hash32('made'),
    setCookie: 'sid=made; HttpOnly',
  })
  t.end()
})

t.test('cookie: who has none gets one that leads to the same endpoint, where the rule has a ttl', (t) => {
  const policy: HashKeyPolicy = { by: 'cookie', name: 'sid', path: '/shop', ttlMs: 90_000 }
  const made = key(policy, request())
  t.same(made, { hash: hash32('made'), setCookie: 'sid=made; Path=/shop; Max-Age=90; HttpOnly' })
  const [pair = ''] = made.setCookie!.split(';')
  t.equal(key(policy, request({ cookie: [pair] })).hash, made.hash)
  t.same(key({ by: 'cookie', name: 'sid' }, request()), {})
  t.equal(key({ ...policy, ttlMs: 1, path: '' }, request()).setCookie, 'sid=made; Max-Age=1; HttpOnly')
  t.equal(
    key({ ...policy, ttlMs: 0, attributes: [{ name: 'SameSite', value: 'Strict' }, { name: 'httponly' }] }, request())
      .setCookie,
    'sid=made; Path=/shop; SameSite=Strict; httponly',
  )
  t.end()
})
