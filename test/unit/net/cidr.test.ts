import fc from 'fast-check'
import t from 'tap'
import { addressBytes, addressText, canonicalAddress } from '../../../core/net/address.ts'
import { CidrTrie, parseCidr } from '../../../core/net/cidr.ts'

t.test('prefixes parse to canonical text with host bits cleared', (t) => {
  const table: readonly (readonly [string, string | undefined])[] = [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.2.3', '10.1.2.3/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['2001:DB8::1/32', '2001:db8::/32'],
    ['::1', '::1/128'],
    ['::/0', '::/0'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
    ['::ffff:10.1.2.3', '10.1.2.3/32'],
    ['::ffff:10.1.2.3/96', '0.0.0.0/0'],
    ['::ffff:10.1.2.3/80', '::/80'],
    ['::ffff:10.1.2.3/90', '::ffc0:0:0/90'],
    ['10.0.0.0/33', undefined],
    ['::/129', undefined],
    ['10.0.0.0/', undefined],
    ['10.0.0.0/08', undefined],
    ['10.0.0.0/-1', undefined],
    ['10.0.0/8', undefined],
    ['10.0.0.0/8 ', undefined],
    ['fe80::1%eth0', undefined],
    ['fe80::1%eth0/64', undefined],
    ['', undefined],
    ['host', undefined],
  ]
  for (const [text, expected] of table) {
    const cidr = parseCidr(text)
    t.equal(cidr === undefined ? undefined : `${cidr.address}/${cidr.prefix}`, expected, text)
    if (cidr !== undefined) t.equal(cidr.family, cidr.address.includes(':') ? 'ipv6' : 'ipv4')
  }
  t.end()
})

t.test('the longest prefix wins, and families stay apart', (t) => {
  const trie = new CidrTrie<string>()
  trie.insert('0.0.0.0/0', 'any')
  trie.insert('10.0.0.0/8', 'ten')
  trie.insert('10.1.0.0/16', 'ten-one')
  trie.insert('10.1.2.3', 'host')
  t.equal(trie.size, 4)
  t.same(
    ['10.1.2.3', '10.1.2.4', '10.2.0.1', '11.0.0.1', '::a01:203'].map((address) => trie.lookup(address)),
    ['host', 'ten-one', 'ten', 'any', undefined],
  )
  t.ok(trie.remove('10.1.99.99/16'), 'by the prefix, whatever its host bits')
  t.notOk(trie.remove('10.1.0.0/17'))
  t.notOk(trie.remove('nonsense'))
  t.equal(trie.lookup('10.1.2.4'), 'ten')
  trie.insert('10.0.0.0/8', 'replaced')
  t.equal(trie.lookup('10.1.2.4'), 'replaced')
  t.equal(trie.size, 3)
  t.throws(() => trie.insert('10.0.0.0/40', 'x'), TypeError)
  t.end()
})

t.test('a held undefined is a match', (t) => {
  const trie = new CidrTrie<undefined>()
  trie.insert('10.0.0.0/8', undefined)
  t.ok(trie.matches('10.0.0.1'))
  t.notOk(trie.matches('11.0.0.1'))
  t.end()
})

/** Few distinct bytes, so that prefixes meet, nest and collide. */
const byte = fc.constantFrom(0, 1, 2, 3, 127, 128, 129, 254, 255)
const ipv4 = fc
  .uint8Array({ minLength: 4, maxLength: 4 })
  .chain(() => fc.tuple(byte, byte, byte, byte).map((b) => b.join('.')))
const ipv6 = fc
  .array(byte, { minLength: 16, maxLength: 16 })
  .map((bytes) => addressText(Uint8Array.from(bytes)))
  .filter((address) => address.includes(':'))
const cidr = fc
  .oneof(fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })), fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })))
  .map(([address, prefix]) => `${address}/${prefix}`)

/** The oracle: bit strings. */
function bits(address: string): string {
  return Array.from(addressBytes(address), (part) => part.toString(2).padStart(8, '0')).join('')
}

class NaiveMap {
  readonly #entries = new Map<string, number>()
  #key(text: string): string {
    const [address = '', prefix] = text.split('/')
    const all = bits(address)
    return `${all.length}:${all.slice(0, Number(prefix))}`
  }
  insert(text: string, value: number): void {
    this.#entries.set(this.#key(text), value)
  }
  remove(text: string): boolean {
    return this.#entries.delete(this.#key(text))
  }
  lookup(address: string): number | undefined {
    const all = bits(address)
    for (let length = all.length; length >= 0; length -= 1) {
      const found = this.#entries.get(`${all.length}:${all.slice(0, length)}`)
      if (found !== undefined) return found
    }
    return undefined
  }
  get size(): number {
    return this.#entries.size
  }
}

t.test('the trie answers as a naive search over all prefixes does, through any inserts and removals', (t) => {
  const step = fc.record({ cidr, remove: fc.boolean() })
  const addresses = fc.array(fc.oneof(ipv4, ipv6), { minLength: 5, maxLength: 20 })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), addresses, (steps, probes) => {
      const trie = new CidrTrie<number>()
      const naive = new NaiveMap()
      for (const [index, { cidr: text, remove }] of steps.entries()) {
        if (remove && trie.remove(text) !== naive.remove(text)) return false
        if (!remove) {
          trie.insert(text, index)
          naive.insert(text, index)
        }
      }
      // The prefixes' own addresses hit the edges that random probes miss.
      const own = steps.map((one) => one.cidr.split('/')[0]!)
      const all = [...probes, ...own]
      return trie.size === naive.size && all.every((address) => trie.lookup(address) === naive.lookup(address))
    }),
    { numRuns: 400 },
  )
  t.end()
})

t.test('removing everything in any order leaves an empty trie', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(cidr, { maxLength: 40 }), (texts) => {
      const trie = new CidrTrie<string>()
      for (const text of texts) trie.insert(text, text)
      for (const text of texts.toReversed()) trie.remove(text)
      return trie.size === 0 && texts.every((text) => !trie.matches(text.split('/')[0]!))
    }),
  )
  t.end()
})

t.test('parsing a formatted prefix gives the same prefix', (t) => {
  fc.assert(
    fc.property(cidr, (text) => {
      const once = parseCidr(text)!
      const twice = parseCidr(`${once.address}/${once.prefix}`)!
      return once.address === twice.address && once.prefix === twice.prefix
    }),
  )
  fc.assert(fc.property(fc.string(), (text) => parseCidr(text) === undefined || /^[0-9a-fA-F:.]+(\/\d+)?$/.test(text)))
  t.end()
})

t.test('address bytes and text are inverse', (t) => {
  fc.assert(fc.property(fc.ipV4(), (text) => addressText(addressBytes(text)) === text))
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const canonical = canonicalAddress(text)!
      return addressText(addressBytes(canonical)) === canonical
    }),
  )
  t.end()
})
