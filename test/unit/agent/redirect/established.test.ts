import t from 'tap'
import {
  connectionKey,
  heldByDaemon,
  parseConnections,
  resetConnections,
  uncaptured,
} from '../../../../agent/redirect/established.ts'

const listing = `
ESTAB      0 0 10.0.0.2:40000 10.0.0.9:5432 ino:1 sk:1 cgroup:/ <->
ESTAB      0 0 10.0.0.2:40001 10.0.0.9:5432 ino:2 sk:2 fwmark:0x539 cgroup:/ <->
ESTAB      0 0 10.0.0.2:40002 240.240.0.1:80 ino:3 sk:3 cgroup:/ <->
ESTAB      0 0 [::ffff:127.0.0.1]:15001 [::ffff:10.0.0.2]:40002 ino:4 sk:4 cgroup:/ <->
ESTAB      0 0 10.0.0.2:8080 10.0.0.7:50000 ino:5 sk:5 cgroup:/ <->
ESTAB      0 0 10.0.0.7:50000 10.0.0.2:8080 ino:6 sk:6 fwmark:0x539 cgroup:/ <->
ESTAB      0 0 [fd00::2]:8080 [fd00::7]:50001 ino:7 sk:7 cgroup:/ <->
ESTAB      0 0 127.0.0.1:8080 127.0.0.1:50002 ino:8 sk:8 cgroup:/ <->
FIN-WAIT-2 0 0 10.0.0.2:40003 10.0.0.9:5432 ino:9 sk:9 cgroup:/ <->
ESTAB      0 0 10.0.0.2%eth0:40004 10.0.0.9:5432 ino:10 sk:10 cgroup:/ <->
`

t.test(
  'only connections past the daemon count: not its own, not those that end at it, not loopback, not closing ones',
  async (t) => {
    t.same(uncaptured(parseConnections(listing)).map(connectionKey), [
      '10.0.0.2:40000 10.0.0.9:5432',
      '[fd00::2]:8080 [fd00::7]:50001',
      '10.0.0.2:40004 10.0.0.9:5432',
    ])
  },
)

t.test('the daemon has what it accepted or made, until it is over', async (t) => {
  const closing = 'TIME-WAIT 0 0 10.0.0.2:15008 10.0.0.7:50003 timer:(timewait,50sec,0) ino:0 sk:11\n'
  const ended = 'FIN-WAIT-2 0 0 10.0.0.2:15008 10.0.0.7:50004 ino:12 sk:12\n'
  t.same(heldByDaemon(parseConnections(listing + closing + ended)).map(connectionKey), [
    '10.0.0.2:40001 10.0.0.9:5432',
    '127.0.0.1:15001 10.0.0.2:40002',
    '10.0.0.7:50000 10.0.0.2:8080',
    '10.0.0.2:15008 10.0.0.7:50004',
  ])
})

t.test('what is not a connection is skipped', async (t) => {
  t.same(parseConnections('\ngarbage\nESTAB 0 0 nonsense:1 x:2\n'), [])
})

t.test('resets name both ends and come in batches', async (t) => {
  const calls: string[] = []
  const keys = new Set(Array.from({ length: 65 }, (_, index) => `10.0.0.2:${1000 + index} 10.0.0.9:80`))
  await resetConnections(
    async (_, argv) => {
      calls.push(argv.join(' '))
      return ''
    },
    '/n',
    keys,
  )
  t.equal(calls.length, 2)
  t.equal(calls[1], 'ss -K -Htn ( src 10.0.0.2:1064 and dst 10.0.0.9:80 )')
})
