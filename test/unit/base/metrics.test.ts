import fc from 'fast-check'
import t from 'tap'
import { exposition, MetricSet, type MetricSnapshot, mergeSnapshots } from '../../../core/base/metrics.ts'

const text = (...snapshots: readonly MetricSnapshot[]) => exposition(() => Promise.resolve(snapshots))

t.test('a cell counts on a plain number and is the same for the same labels', (t) => {
  const set = new MetricSet()
  const family = set.counter('opened_total', 'Opened.', ['reporter', 'flag'])
  family.labels(['source', '-']).add(2)
  family.labels(['source', '-']).add(1)
  t.equal(family.labels(['source', '-']).value, 3)
  t.equal(family.labels(['source', 'DENY']).value, 0)
  t.throws(() => family.labels(['source']), TypeError)
  t.equal(set.counter('opened_total', 'Opened.', ['reporter', 'flag']), family)
  t.throws(() => set.gauge('opened_total', 'Opened.', ['reporter', 'flag']), TypeError)
  t.throws(() => set.counter('opened_total', 'Opened.', ['flag', 'reporter']), TypeError)
  t.end()
})

t.test('names that Prometheus refuses are refused', (t) => {
  const set = new MetricSet()
  t.throws(() => set.counter('1st', '', []), TypeError)
  t.throws(() => set.counter('ok', '', ['__name__']), TypeError)
  t.throws(() => set.counter('ok', '', ['a-b']), TypeError)
  t.end()
})

t.test('a snapshot crosses a thread boundary and does not change afterwards', (t) => {
  const set = new MetricSet()
  const cell = set.gauge('sockets_open', 'Open.', []).labels([])
  cell.set(4)
  const snapshot = structuredClone(set.snapshot())
  const held = set.snapshot()
  cell.set(9)
  t.same(snapshot, held)
  t.same(snapshot.families[0]?.samples, [{ labels: [], value: 4 }])
  t.end()
})

t.test('equal series of several snapshots are added up', async (t) => {
  const worker = (bytes: number, open: number) => {
    const set = new MetricSet()
    set.counter('bytes_total', 'Bytes.', ['workload']).labels(['a']).add(bytes)
    set.gauge('open', 'Open.', []).labels([]).set(open)
    return set.snapshot()
  }
  const other = new MetricSet()
  other.counter('bytes_total', 'Bytes.', ['workload']).labels(['b']).add(1)
  t.equal(
    await text(worker(10, 1), worker(32, 2), other.snapshot()),
    [
      '# HELP bytes_total Bytes.',
      '# TYPE bytes_total counter',
      'bytes_total{workload="a"} 42',
      'bytes_total{workload="b"} 1',
      '',
      '# HELP open Open.',
      '# TYPE open gauge',
      'open 3',
      '',
    ].join('\n'),
  )
})

t.test('label values with quotes, backslashes, line ends and separators stay apart and are escaped', async (t) => {
  const set = new MetricSet()
  const family = set.counter('odd_total', 'Odd "help" \\ with\nlines.', ['a', 'b'])
  family.labels(['x,b:y', 'z']).add(1)
  family.labels(['x', 'y,b:z']).add(2)
  family.labels(['"\\\n', 'ü']).add(3)
  const lines = (await text(set.snapshot())).split('\n')
  t.equal(lines[0], '# HELP odd_total Odd "help" \\\\ with\\nlines.')
  t.same(lines.slice(2, 5), [
    'odd_total{a="x,b:y",b="z"} 1',
    'odd_total{a="x",b="y,b:z"} 2',
    'odd_total{a="\\"\\\\\\n",b="ü"} 3',
  ])
})

t.test('series that are retained keep their cells, the others start anew', (t) => {
  const family = new MetricSet().counter('x_total', 'X.', ['workload'])
  const kept = family.labels(['here'])
  kept.add(1)
  family.labels(['gone']).add(5)
  family.retain(([workload]) => workload === 'here')
  t.same(family.snapshot().samples, [{ labels: ['here'], value: 1 }])
  t.equal(family.labels(['here']), kept)
  t.equal(family.labels(['gone']).value, 0)
  t.end()
})

t.test('merging keeps every sum, however the counts are spread over workers', (t) => {
  const counts = fc.array(fc.tuple(fc.nat(3), fc.constantFrom('a', 'b', 'a\u0001b'), fc.nat(1000)))
  fc.assert(
    fc.property(counts, (entries) => {
      const workers = [0, 1, 2, 3].map(() => new MetricSet())
      const expected = new Map<string, number>()
      for (const [worker, label, count] of entries) {
        workers[worker]?.counter('n_total', 'N.', ['l']).labels([label]).add(count)
        expected.set(label, (expected.get(label) ?? 0) + count)
      }
      const merged = mergeSnapshots(workers.map((worker) => worker.snapshot()))
      const samples = merged.families.flatMap((family) => family.samples)
      const sums = new Map(samples.map(({ labels, value }) => [labels[0], value]))
      return sums.size === expected.size && [...expected].every(([label, sum]) => sums.get(label) === sum)
    }),
  )
  t.end()
})

t.test('a histogram counts each value once, in the bucket of its bound, and adds up over threads', async (t) => {
  const worker = (...values: readonly number[]) => {
    const set = new MetricSet()
    const cell = set.histogram('took_ms', 'Took.', ['code'], [1, 5]).labels(['200'])
    for (const value of values) cell.observe(value)
    return structuredClone(set.snapshot())
  }
  t.equal(
    await text(worker(0.5, 1, 1.5), worker(5, 9)),
    [
      '# HELP took_ms Took.',
      '# TYPE took_ms histogram',
      'took_ms_bucket{code="200",le="1"} 2',
      'took_ms_bucket{code="200",le="5"} 4',
      'took_ms_bucket{code="200",le="+Inf"} 5',
      'took_ms_sum{code="200"} 17',
      'took_ms_count{code="200"} 5',
      '',
    ].join('\n'),
  )
})

t.test('a histogram and a counter do not share a name', (t) => {
  const set = new MetricSet()
  set.histogram('took_ms', '', [], [1])
  t.throws(() => set.counter('took_ms', '', []), TypeError)
  set.counter('count_total', '', [])
  t.throws(() => set.histogram('count_total', '', [], [1]), TypeError)
  t.throws(() => set.histogram('took_ms', '', [], [1]).labels(['x']), TypeError)
  t.end()
})
