import t from 'tap'
import { MetricSet, type MetricSnapshot, mergeSnapshots } from '../../../core/base/metrics.ts'
import { WorkerMetrics } from '../../../daemon/worker-metrics.ts'

function counted(requests: number, open: number, workload = 'a'): MetricSnapshot {
  const metrics = new MetricSet()
  metrics.counter('requests_total', 'r', ['workload']).labels([workload]).add(requests)
  metrics.gauge('open', 'o', []).labels([]).set(open)
  return metrics.snapshot()
}

function totals(metrics: WorkerMetrics): Readonly<Record<string, number>> {
  const { families } = mergeSnapshots(metrics.all())
  const samples = families.flatMap(({ name, samples }) => samples.map((sample) => ({ name, ...sample })))
  return Object.fromEntries(samples.map(({ name, labels, value }) => [[name, ...labels].join(' '), value]))
}

t.test('what a crashed worker counted stays in the totals, what it had open does not', (t) => {
  const metrics = new WorkerMetrics()
  metrics.seen(0, counted(10, 3))
  metrics.seen(1, counted(5, 2))
  t.same(totals(metrics), { 'requests_total a': 15, open: 5 })
  metrics.ended(1)
  t.same(totals(metrics), { 'requests_total a': 15, open: 3 })
  metrics.seen(1, counted(1, 1))
  t.same(totals(metrics), { 'requests_total a': 16, open: 4 })
  metrics.ended(1)
  metrics.ended(1)
  metrics.seen(0, counted(11, 0))
  t.same(totals(metrics), { 'requests_total a': 17, open: 0 }, 'each life counts once')
  t.end()
})

t.test('series of several lives stand side by side', (t) => {
  const metrics = new WorkerMetrics()
  metrics.seen(0, counted(2, 1, 'a'))
  metrics.ended(0)
  metrics.seen(0, counted(3, 1, 'b'))
  t.same(totals(metrics), { 'requests_total a': 2, 'requests_total b': 3, open: 1 })
  t.end()
})
