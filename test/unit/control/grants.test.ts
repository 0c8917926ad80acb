import t from 'tap'
import { addressFilter, checkGrant, grantsIdentity } from '../../../control/grants.ts'

const grant = (identities: readonly string[], cidrs: readonly string[] = [], host = 'h1') => ({
  host,
  identities,
  cidrs,
})

t.test('an identity is granted exactly or by its whole namespace', async (t) => {
  const cases: readonly [readonly string[], string, string, boolean][] = [
    [['shop/a'], 'shop', 'a', true],
    [['shop/a'], 'shop', 'b', false],
    [['shop/a'], 'sho', 'p/a', false],
    [['shop/*'], 'shop', 'anything', true],
    [['shop/*'], 'shop2', 'a', false],
    [['shop/a', 'x/*'], 'x', 'y', true],
    [[], 'shop', 'a', false],
  ]
  for (const [identities, namespace, account, expected] of cases) {
    t.equal(grantsIdentity(grant(identities), namespace, account), expected, `${identities} ${namespace}/${account}`)
  }
})

t.test('addresses are free without ranges and bound with them', async (t) => {
  t.ok(addressFilter(grant(['a/b']))('203.0.113.1'))
  const within = addressFilter(grant(['a/b'], ['10.1.0.0/16', 'fd00::/64']))
  t.ok(within('10.1.2.3'))
  t.ok(within('fd00::7'))
  t.notOk(within('10.2.0.1'))
  t.notOk(within('fd00:1::7'))
})

t.test('a grant that is too wide or malformed is refused with every problem', async (t) => {
  for (const identity of [
    '*',
    '*/*',
    'shop',
    'shop/',
    '/a',
    'shop/a/b',
    'Shop/a',
    'shop/a*',
    'spiffe://td/ns/a/sa/b',
  ]) {
    t.throws(() => checkGrant(grant([identity])), { code: 'RESOURCE_INVALID' }, identity)
  }
  t.throws(() => checkGrant(grant([], ['10.0.0.0/33'], 'H/1')), { message: /host:.*identities:.*cidrs:/ })
  t.strictSame(checkGrant(grant(['shop/*', 'shop/a'], ['10.0.0.1'])), grant(['shop/*', 'shop/a'], ['10.0.0.1']))
})
