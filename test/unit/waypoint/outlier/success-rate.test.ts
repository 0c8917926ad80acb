// Envoy's success-rate outliers by number.
import t from 'tap'
import { outliersBySuccessRate, successRateDefaults } from '../../../../waypoint/outlier/success-rate.ts'

const host = (key: string, requests: number, successes: number) => ({ key, requests, successes })
const good = ['a', 'b', 'c', 'd', 'e'].map((key) => host(key, 100, 99))

t.test('below mean - 1.9 × standard deviation', (t) => {
  t.same(outliersBySuccessRate([...good, host('x', 200, 100)], successRateDefaults), ['x'])
  t.same(outliersBySuccessRate(good, successRateDefaults), [], 'all alike')
  t.same(
    outliersBySuccessRate([...good, host('x', 200, 100), host('y', 100, 50)], successRateDefaults),
    [],
    'two of seven are no exception',
  )
  t.end()
})

t.test('with too few requests or endpoints nobody is compared', (t) => {
  t.same(outliersBySuccessRate([...good, host('x', 99, 0)], successRateDefaults), [])
  t.same(outliersBySuccessRate([...good.slice(0, 3), host('x', 100, 0)], successRateDefaults), [])
  t.same(outliersBySuccessRate([], { ...successRateDefaults, minimumHosts: 0, requestVolume: 0 }), [])
  t.same(outliersBySuccessRate([host('x', 0, 0)], { ...successRateDefaults, minimumHosts: 0, requestVolume: 0 }), [])
  t.end()
})
