import fc from 'fast-check'
import t from 'tap'
import { LineSplitter } from '../../../core/feed/codec.ts'

t.test('lines survive any split into chunks', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.json().map((text) => text.replaceAll('\n', ' '))),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
        const splitter = new LineSplitter(1 << 20)
        const seen: string[] = []
        let at = 0
        for (const cut of [...cuts, bytes.length]) {
          for (const line of splitter.push(bytes.subarray(at, at + cut))) seen.push(Buffer.from(line).toString())
          at += cut
        }
        return seen.length === lines.length && seen.every((line, index) => line === lines[index])
      },
    ),
  )
  t.pass('held')
})

t.test('a line over the limit is refused before its end arrives', async (t) => {
  const splitter = new LineSplitter(10)
  t.equal([...splitter.push(Buffer.from('0123456789\n'))].length, 1)
  t.throws(() => [...splitter.push(Buffer.from('01234567890'))], { code: 'FEED_PROTOCOL' })
})

t.test('an unfinished line is counted as pending', async (t) => {
  const splitter = new LineSplitter(100)
  t.strictSame([...splitter.push(Buffer.from('a\nbc'))].map(String), ['a'])
  t.equal(splitter.pendingBytes, 2)
})
