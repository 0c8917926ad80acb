import fc from 'fast-check'
import t from 'tap'
import {
  desiredSysctls,
  differing,
  parseSysctls,
  reservedWith,
  writeScript,
} from '../../../../agent/redirect/sysctls.ts'

const range = 'net/ipv4/ip_local_port_range'
const reserved = 'net/ipv4/ip_local_reserved_ports'

t.test(
  'a kernel with its defaults gets fast reuse, migration, marks that are accepted, no pick-up, and a wide range without the mesh and workload ports',
  async (t) => {
    const before = parseSysctls(
      'net/ipv4/tcp_tw_reuse=2\nnet/ipv4/ip_local_port_range=32768\t60999\nnet/ipv4/ip_local_reserved_ports=\nnet/ipv4/tcp_migrate_req=0\nnet/ipv4/tcp_fwmark_accept=0\nnet/netfilter/nf_conntrack_tcp_loose=1\n',
    )
    const wanted = desiredSysctls(before, [8080, 15090, 18080])
    t.same(wanted, {
      'net/ipv4/tcp_tw_reuse': '1',
      'net/ipv4/tcp_migrate_req': '1',
      'net/ipv4/tcp_fwmark_accept': '1',
      'net/netfilter/nf_conntrack_tcp_loose': '0',
      [range]: '10240 65535',
      [reserved]: '8080,15000-15099,18080',
    })
    t.same(differing(wanted, wanted), {})
    t.same(differing(before, wanted), before, 'restoring writes back each of them')
  },
)

t.test('a wider range and reserved ports of the operator are kept, missing settings are left out', async (t) => {
  t.same(desiredSysctls({ [range]: '1024 65535', [reserved]: '3000-3010,14999' }, []), {
    [range]: '1024 65535',
    [reserved]: '3000-3010,14999-15099',
  })
})

t.test('reserved ports are ascending, never overlap and hold every port asked for', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 65535 })), (ports) => {
      const ranges = reservedWith('', ports)
        .split(',')
        .map((part) => part.split('-').map(Number))
      const pairs = ranges.map(([first = 0, last = first]) => ({ first, last }))
      const ascending = pairs.every((pair, index) => index === 0 || pair.first > pairs[index - 1]!.last + 1)
      return (
        ascending &&
        [...ports, 15000, 15099].every((port) => pairs.some((pair) => pair.first <= port && port <= pair.last))
      )
    }),
  )
  t.pass()
})

t.test('nothing but a setting gets into the shell', async (t) => {
  t.equal(writeScript({ [reserved]: '' }), `set -e\necho '' > /proc/sys/${reserved}\n`)
  t.throws(() => writeScript({ [reserved]: "'; reboot" }))
  t.throws(() => writeScript({ 'net/../../etc/passwd; x': '1' }))
})
