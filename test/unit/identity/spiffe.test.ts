import fc from 'fast-check'
import t from 'tap'
import { MeshError } from '../../../core/base/errors.ts'
import {
  controlIdentity,
  formatIdentity,
  hostIdentity,
  type Identity,
  parseIdentity,
  principalOf,
} from '../../../core/identity/spiffe.ts'

const segment = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/)
const domain = fc.stringMatching(/^[a-z0-9._-]{1,255}$/)
const identity: fc.Arbitrary<Identity> = fc.record({ trustDomain: domain, namespace: segment, serviceAccount: segment })

t.test('an identity survives formatting and parsing', async (t) => {
  fc.assert(
    fc.property(identity, (value) => {
      t.same(parseIdentity(formatIdentity(value)), value)
      t.equal(`spiffe://${principalOf(value)}`, formatIdentity(value))
    }),
    { numRuns: 50 },
  )
})

t.test('any text is either refused or exactly what its identity formats to', async (t) => {
  const near = fc
    .array(
      fc.constantFrom('spiffe:', '', 'ns', 'sa', 'a', 'B', '..', 'x y', 'cluster.local', 'a:1', '?', '#', '%2f', '\0'),
      {
        minLength: 1,
        maxLength: 9,
      },
    )
    .map((parts) => parts.join('/'))
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), near, fc.webUrl()), (text) => {
      try {
        return formatIdentity(parseIdentity(text)) === text
      } catch (error: unknown) {
        return error instanceof MeshError && error.code === 'IDENTITY_INVALID'
      }
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('everything that only resembles a workload is refused', async (t) => {
  const wrong = [
    hostIdentity('cluster.local', 'h1'),
    controlIdentity('cluster.local'),
    'spiffe://cluster.local/ns/a/sa/b/',
    'spiffe://cluster.local/ns/a/sa/',
    'spiffe://cluster.local/ns//sa/b',
    'spiffe:///ns/a/sa/b',
    'spiffe://cluster.local:80/ns/a/sa/b',
    'spiffe://user@cluster.local/ns/a/sa/b',
    'spiffe://Cluster.local/ns/a/sa/b',
    'SPIFFE://cluster.local/ns/a/sa/b',
    'https://cluster.local/ns/a/sa/b',
    'spiffe://cluster.local/ns/a/sa/b?x',
    'spiffe://cluster.local/ns/a/sa/b#x',
    'spiffe://cluster.local/ns/a/sa/b\n',
    'spiffe://cluster.local/sa/a/ns/b',
  ]
  for (const uri of wrong) t.throws(() => parseIdentity(uri), { code: 'IDENTITY_INVALID' }, uri)
})
