import fc from 'fast-check'
import t from 'tap'
import { parseSave } from '../../../../agent/redirect/inspect.ts'
import { installText, isInstalled, looksInstalled, removalText, rules } from '../../../../agent/redirect/rules.ts'

const nothing = parseSave('')

t.test('the rules of IPv4, installed where nothing is, are these', async (t) => {
  t.equal(
    installText(rules('ipv4'), nothing),
    `*raw
:CULVERT_PREROUTING - [0:0]
:CULVERT_OUTPUT - [0:0]
-A CULVERT_PREROUTING -p udp -m mark ! --mark 0x539/0xfff -m udp --sport 53 -j CT --zone 1
-I PREROUTING 1 -j CULVERT_PREROUTING
-A CULVERT_OUTPUT -p udp -m mark --mark 0x539/0xfff -m udp --dport 53 -j CT --zone 1
-I OUTPUT 1 -j CULVERT_OUTPUT
COMMIT
*mangle
:CULVERT_PREROUTING - [0:0]
:CULVERT_OUTPUT - [0:0]
-A CULVERT_PREROUTING -m mark --mark 0x539/0xfff -j CONNMARK --set-xmark 0x111/0xfff
-A CULVERT_PREROUTING -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m mark --mark 0x539/0xfff -j MARK --set-xmark 0x111/0xfff
-I PREROUTING 1 -j CULVERT_PREROUTING
-A CULVERT_OUTPUT -m connmark --mark 0x111/0xfff -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
-I OUTPUT 1 -j CULVERT_OUTPUT
COMMIT
*nat
:CULVERT_PREROUTING - [0:0]
:CULVERT_OUTPUT - [0:0]
-A CULVERT_PREROUTING -p tcp -m mark --mark 0x111/0xfff -j ACCEPT
-A CULVERT_PREROUTING ! -d 127.0.0.1/32 -p tcp -m tcp ! --dport 15008 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15006
-I PREROUTING 1 -j CULVERT_PREROUTING
-A CULVERT_OUTPUT ! -o lo -p udp -m mark ! --mark 0x539/0xfff -m udp --dport 53 -j REDIRECT --to-ports 15053
-A CULVERT_OUTPUT ! -d 127.0.0.1/32 -p tcp -m tcp --dport 53 -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15053
-A CULVERT_OUTPUT -p tcp -m mark --mark 0x111/0xfff -j ACCEPT
-A CULVERT_OUTPUT ! -d 127.0.0.1/32 -o lo -j ACCEPT
-A CULVERT_OUTPUT ! -d 127.0.0.1/32 -p tcp -m mark ! --mark 0x539/0xfff -j REDIRECT --to-ports 15001
-I OUTPUT 1 -j CULVERT_OUTPUT
COMMIT
`,
  )
})

t.test('IPv6 has the same rules with its own loopback address', async (t) => {
  const expected = installText(rules('ipv4'), nothing).replaceAll('127.0.0.1/32', '::1/128')
  t.equal(installText(rules('ipv6'), nothing), expected)
})

/** What iptables-save prints after `installText`. */
function saved(extra: readonly string[] = [], without: readonly string[] = []): string {
  return rules('ipv4')
    .flatMap(({ table, chains }) => [
      `*${table}`,
      ':PREROUTING ACCEPT [0:0]',
      ':CULVERT_OUTPUT - [0:0]',
      ':CULVERT_PREROUTING - [0:0]',
      ...(table === 'nat' ? extra : []),
      '-A PREROUTING -j CULVERT_PREROUTING',
      '-A OUTPUT -j CULVERT_OUTPUT',
      ...chains.OUTPUT.map((rule) => `-A CULVERT_OUTPUT ${rule}`),
      ...chains.PREROUTING.map((rule) => `-A CULVERT_PREROUTING ${rule}`),
      'COMMIT',
    ])
    .filter((line) => !without.includes(line))
    .join('\n')
}

t.test('what iptables-save prints of our rules counts as installed, whatever else is there', async (t) => {
  const state = parseSave(saved(['-A OUTPUT -d 10.0.0.1/32 -j ACCEPT', '-A DOCKER -j RETURN']))
  for (const table of rules('ipv4')) t.ok(isInstalled(table, state.tables[table.table]), table.table)
})

const damages: readonly { readonly name: string; readonly text: string; readonly looks: boolean }[] = [
  { name: 'a rule too many', text: saved(['-A CULVERT_OUTPUT -j ACCEPT']), looks: false },
  { name: 'a rule missing', text: saved([], [`-A CULVERT_OUTPUT ! -d 127.0.0.1/32 -o lo -j ACCEPT`]), looks: false },
  { name: 'a jump missing', text: saved([], ['-A OUTPUT -j CULVERT_OUTPUT']), looks: false },
  { name: 'a jump twice', text: saved(['-A OUTPUT -j CULVERT_OUTPUT']), looks: false },
  {
    name: 'a jump with a condition',
    text: saved().replaceAll('-A OUTPUT -j', '-A OUTPUT -p udp -j'),
    looks: false,
  },
  { name: 'another spelling', text: saved().replaceAll(' -m tcp ', ' '), looks: true },
]
for (const { name, text, looks } of damages) {
  t.test(`${name} is not what was installed`, async (t) => {
    const nat = rules('ipv4')[2]!
    const state = parseSave(text).tables.nat
    t.equal(isInstalled(nat, state), false)
    t.equal(looksInstalled(nat, state), looks)
  })
}

t.test('a repair inserts only missing jumps and deletes surplus ones', async (t) => {
  const nat = rules('ipv4').slice(2)
  t.notMatch(installText(nat, parseSave(saved())), /^-[ID] /m)
  const doubled = installText(nat, parseSave(saved(['-A OUTPUT -j CULVERT_OUTPUT'])))
  t.same(doubled.match(/^-[ID] .*$/gm), ['-D OUTPUT -j CULVERT_OUTPUT'])
})

t.test('removal takes nat first, every jump, then the chains; and is empty where nothing is ours', async (t) => {
  t.equal(removalText(nothing), '')
  t.equal(removalText(parseSave('*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j DOCKER\nCOMMIT')), '')
  const text = removalText(parseSave(saved(['-A INPUT -p tcp -j CULVERT_OUTPUT'])))
  t.same(
    text.split('\n').filter((line) => line.startsWith('*')),
    ['*nat', '*mangle', '*raw'],
  )
  t.match(text, '-D INPUT 1\n', 'a jump with conditions goes by its number')
  t.ok(text.indexOf('-D OUTPUT -j CULVERT_OUTPUT') < text.indexOf('-X CULVERT_OUTPUT'))
})

t.test('text that a workload forges in its own rules is never handed back to iptables', async (t) => {
  const forged = [
    // a comment with line breaks in it
    '-A OUTPUT -p tcp -m comment --comment "x',
    '-A OUTPUT -M /tmp/evil -m bpf --object-pinned /etc/shadow -j CULVERT_OUTPUT',
    '-A -M/tmp/evil -j CULVERT_OUTPUT',
    '-A OUTPUT -j CULVERT_$(evil)',
    ':CULVERT_-M/tmp/evil - [0:0]',
    'y" -j ACCEPT',
    '-A OUTPUT -p udp -g CULVERT_OUTPUT',
  ]
  const text = removalText(parseSave(saved(forged)))
  t.notMatch(text, /evil|shadow|-M|bpf/)
  const nat = text.slice(0, text.indexOf('COMMIT'))
  t.same(nat.match(/^-D .*$/gm), [
    '-D OUTPUT 4',
    '-D OUTPUT 2',
    '-D PREROUTING -j CULVERT_PREROUTING',
    '-D OUTPUT -j CULVERT_OUTPUT',
  ])
})

t.test('reading iptables-save never throws, and finds only what is ours', async (t) => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const { tables } = parseSave(text)
      for (const table of Object.values(tables)) {
        for (const chain of Object.keys(table.chains)) if (!chain.startsWith('CULVERT_')) return false
      }
      return true
    }),
  )
  t.pass()
})
