// How many connections a limit of open files is enough for.
import t from 'tap'
import { descriptorsFor, openFileLimit } from '../../../daemon/descriptors.ts'

t.test('the soft limit is read, also one that is none', (t) => {
  const line = (soft: string) =>
    `Limit Soft Hard Units\nMax processes 5 5 processes\nMax open files            ${soft}   4096   files\n`
  t.equal(openFileLimit(line('1024')), 1_024)
  t.equal(openFileLimit(line('unlimited')), 1_048_576)
  t.equal(openFileLimit(''), 1_048_576)
  t.ok(openFileLimit() > 0, 'this process has one')
  t.end()
})

t.test('all connections of all workers leave descriptors over', (t) => {
  for (const openFiles of [1_024, 65_536, 1_048_576]) {
    for (const workers of [1, 2, 16]) {
      const descriptors = descriptorsFor(openFiles, workers)
      t.ok(descriptors >= 32)
      t.ok(descriptors * workers <= openFiles - 256, `${openFiles} and ${workers}`)
    }
  }
  t.equal(descriptorsFor(64, 1), 32, 'with next to none it tries all the same')
  t.end()
})
