import t from 'tap'
import { destinationAnnotationsWithoutEffect, destinationExtras } from '../../../core/model/destination-annotations.ts'

const rate = 'culvert.dev/outlier-success-rate'

t.test('words and numbers that mean something', async (t) => {
  t.equal(destinationExtras({}), undefined)
  t.same(destinationExtras({ 'culvert.dev/load-balancing': 'peak-ewma' }), { balancing: 'peak-ewma' })
  t.same(destinationExtras({ [rate]: '1.9' }), {
    successRate: { deviations: 1.9, minimumHosts: 5, requestVolume: 100 },
  })
  t.same(destinationExtras({ [rate]: '2', [`${rate}-hosts`]: '2', [`${rate}-requests`]: '10' }), {
    successRate: { deviations: 2, minimumHosts: 2, requestVolume: 10 },
  })
  t.same(destinationAnnotationsWithoutEffect({ [rate]: '1.9', 'culvert.dev/load-balancing': 'peak-ewma' }), [])
})

t.test('what means nothing counts as absent, and is told', async (t) => {
  for (const text of ['', 'on', '-1', '0', '1e3', '101', 'NaN']) {
    t.equal(destinationExtras({ [rate]: text }), undefined, text)
    t.equal(destinationAnnotationsWithoutEffect({ [rate]: text }).length, 1, text)
  }
  t.equal(destinationExtras({ 'culvert.dev/load-balancing': 'EWMA' }), undefined)
  t.match(destinationAnnotationsWithoutEffect({ 'culvert.dev/load-balancing': 'EWMA', [`${rate}-hosts`]: '3' }), [
    /"EWMA" is not peak-ewma/,
    /no effect without/,
  ])
})
