import fc from 'fast-check'
import t from 'tap'
import { parseDefinition } from '../../../../agent/discover/definition.ts'
import { parseNameservers } from '../../../../agent/discover/directory.ts'

const good = 'name: orders\nnamespace: shop\nserviceAccount: orders\nnetns: /run/netns/orders\n'

t.test('a full definition is read, as YAML and as JSON', async (t) => {
  const parsed = parseDefinition(
    `${good}labels: {app: orders}\nports: {http: 8080}\naddresses: [10.0.0.2, "fd00::2"]\nnameservers: ["10.0.0.1:5353"]\nlocality: a/b\nweight: 2\n`,
    'orders.yaml',
  )
  t.match(parsed, {
    definition: { name: 'orders', ports: { http: 8080 }, addresses: ['10.0.0.2', 'fd00::2'], weight: 2 },
  })
  const json = JSON.stringify({ name: 'a', namespace: 'b', serviceAccount: 'c', netns: '/d' })
  t.match(parseDefinition(json, 'a.json'), { definition: { name: 'a' } })
})

const bad: readonly [string, string, RegExp][] = [
  ['YAML that cannot be parsed', 'name: [', /^f\.yaml:\d+:\d+: /],
  ['an empty file', '', /^f\.yaml:1:1: must hold one object/],
  ['two documents', `${good}---\n${good}`, /must hold one object, found 2 documents/],
  ['a list', '- a\n', /f\.yaml:1:1: .*object/],
  ['an unknown field', `${good}nets: x\n`, /^f\.yaml:5:\d+: nets: unknown field/],
  ['a missing field', 'name: a\nnamespace: b\nserviceAccount: c\n', /netns: is required/],
  ['a wrong type', `${good}weight: heavy\n`, /^f\.yaml:5:9: weight: must be a whole number/],
  ['a relative namespace', good.replace('/run', 'run'), /netns: .*absolute path/],
  ['a bad address', `${good}addresses: [10.0.0.256]\n`, /^f\.yaml:5:\d+: addresses\[0\]: .*not an IP address/],
  ['a bad resolver', `${good}nameservers: [example.org]\n`, /nameservers\[0\]/],
  ['a port that is none', `${good}ports: {http: 70000}\n`, /ports\.http: .*out of range/],
  ['a name that could leave its directory', good.replace('orders\n', '../x\n'), /name: .*not a DNS name/],
]
for (const [what, text, expected] of bad) {
  t.test(`${what} is refused with its place`, async (t) => {
    const parsed = parseDefinition(text, 'f.yaml')
    t.ok('problems' in parsed)
    if ('problems' in parsed) t.match(parsed.problems.join('\n'), expected)
  })
}

t.test('no text makes it throw', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => parseDefinition(text, 'f') !== undefined))
  t.pass()
})

t.test('resolvers are read from resolv.conf', async (t) => {
  t.same(
    parseNameservers('# nameserver 1.1.1.1\nnameserver 10.0.0.1\n nameserver fd00::1 # x\nnameserver no\nsearch a\n'),
    ['10.0.0.1', 'fd00::1'],
  )
})
