import { readFileSync } from 'node:fs'
import t from 'tap'
import { giveBackMemory, unchangedMappings } from '../../../core/net/sys-memory.ts'

const smaps = `00400000-01000000 r--p 00000000 fe:00 77 /opt/node
Rss:                 100 kB
Anonymous:             0 kB
01000000-04000000 r-xp 00c00000 fe:00 77                         /opt/node
Rss:                 100 kB
Anonymous:             0 kB
04000000-04100000 r--p 03c00000 fe:00 77 /opt/node
Anonymous:             8 kB
04100000-04200000 rw-p 03d00000 fe:00 77 /opt/node
Anonymous:             0 kB
05000000-05100000 r-xp 00000000 fe:00 78 /lib/libc.so.6
Anonymous:             0 kB
7f0000000000-7f0000100000 r--p 00000000 00:00 0
Anonymous:             0 kB
7ffd00000000-7ffd00021000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
`

t.test('only what is read-only, of the file, and was never written to', (t) => {
  t.same(unchangedMappings(smaps, '/opt/node'), [
    { start: 0x400000n, bytes: 0xc00000n },
    { start: 0x1000000n, bytes: 0x3000000n },
  ])
  t.same(unchangedMappings('', '/opt/node'), [])
  t.end()
})

t.test('a process that gave its pages back goes on, with fewer of them', (t) => {
  const filePages = () => {
    const text = readFileSync('/proc/self/status', 'utf8')
    return Number(/^RssFile:\s+(\d+) kB$/m.exec(text)?.[1])
  }
  const before = filePages()
  giveBackMemory()
  t.ok(filePages() < before / 2)
  t.equal(JSON.parse('{"a": [1]}').a[0], 1)
  t.end()
})
