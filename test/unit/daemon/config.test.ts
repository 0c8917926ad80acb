import t from 'tap'
import { parseConfig } from '../../../core/base/config.ts'
import { daemonRows, defaultWorkers } from '../../../daemon/config.ts'

t.test('half of the cores work for the mesh, one at least and eight at most', (t) => {
  t.same(
    [1, 2, 3, 4, 8, 16, 128].map((cores) => defaultWorkers(cores)),
    [1, 1, 2, 2, 4, 8, 8],
  )
  t.ok(parseConfig(daemonRows, {}).workers >= 1)
  t.equal(parseConfig(daemonRows, { flags: { workers: '3' } }).workers, 3)
  t.throws(() => parseConfig(daemonRows, { flags: { workers: 'many' } }), {
    code: 'CONFIG_INVALID',
    message: /integer from 1 to 64/,
  })
  t.end()
})
