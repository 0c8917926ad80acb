import fc from 'fast-check'
import t from 'tap'
import { median, type RoundSample, ratio, resultsOf, seriesOf } from '../../../bench/results.ts'
import type { Measured } from '../../../bench/subjects.ts'
import { figure, renderTable } from '../../../bench/table.ts'

function sample(subject: Measured, round: number, value: number, metric = 'rate'): RoundSample {
  return { scenario: 'requests-32', metric, unit: 'requests/s', better: 'higher', subject, round, value }
}

t.test('a median is between the halves, of an even number the middle of the two', (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.throws(() => median([]))
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
      const middle = median(values)
      const below = values.filter((value) => value < middle).length
      const above = values.filter((value) => value > middle).length
      return below <= values.length / 2 && above <= values.length / 2
    }),
  )
  t.end()
})

t.test('a ratio compares rounds with each other, not the medians of all', (t) => {
  // The machine is twice as fast in the second round and four times in the third: no matter to the ratio.
  const samples = [1, 2, 4].flatMap((speed, round) => [
    sample('culvert', round, 150 * speed),
    sample('haproxy', round, 100 * speed),
  ])
  const [series] = seriesOf([...samples, sample('culvert', 3, 1_000_000)])
  t.equal(ratio(series!, 'culvert', 'haproxy'), 1.5)
  t.equal(ratio(series!, 'haproxy', 'haproxy'), 1)
  t.equal(ratio(series!, 'culvert', 'nginx'), undefined)
  t.equal(ratio(seriesOf([sample('culvert', 0, 1), sample('haproxy', 0, 0)])[0]!, 'culvert', 'haproxy'), undefined)
  t.end()
})

t.test('results have the documented shape, null where there is nobody to compare to', (t) => {
  const results = resultsOf([sample('culvert', 0, 123_456), sample('haproxy', 0, 100_000), sample('culvert', 1, 1)])
  t.same(
    results.find(({ subject }) => subject === 'culvert'),
    {
      scenario: 'requests-32',
      subject: 'culvert',
      metric: 'rate',
      value: 61_730,
      unit: 'requests/s',
      better: 'higher',
      rounds: 2,
      ratioToDirect: null,
      ratioToHaproxy: 1.235,
    },
  )
  t.equal(results.length, 2)
  t.end()
})

t.test('the table has a line per metric, a column per subject and a ratio to each other one', (t) => {
  const samples = [
    sample('haproxy', 0, 100),
    sample('culvert', 0, 150),
    { ...sample('culvert', 0, 12.345, 'p99'), better: 'lower' as const, unit: 'µs' },
  ]
  t.equal(
    renderTable(seriesOf(samples), ['culvert', 'haproxy', 'nginx'], 'culvert'),
    [
      'scenario     metric  unit           culvert  haproxy  nginx  /haproxy  /nginx',
      'requests-32  rate    requests/s  ↑      150      100      -      1.50       -',
      'requests-32  p99     µs          ↓     12.3        -      -         -       -',
      '',
    ].join('\n'),
  )
  t.notMatch(
    renderTable(seriesOf(samples), ['haproxy'], 'culvert'),
    /p99|\/haproxy/,
    'nothing of who is not in the table',
  )
  t.end()
})

t.test('figures keep three digits', (t) => {
  t.same([0, 1.234, 12.34, 123.4, 1_234_567].map(figure), ['0.00', '1.23', '12.3', '123', '1234567'])
  t.end()
})
