import t from 'tap'
import { goals, judge, renderJudged } from '../../../bench/goals.ts'
import { type Better, type RoundSample, seriesOf } from '../../../bench/results.ts'
import type { Measured } from '../../../bench/subjects.ts'

function sample(subject: Measured, metric: string, better: Better, value: number): RoundSample {
  return { scenario: 'x', metric, unit: '', better, subject, round: 0, value }
}

const rate = { scenario: 'x', metric: 'rate', against: 'haproxy', floor: 0.75, goal: 0.9 } as const
const verdicts = (value: number) =>
  judge(seriesOf([sample('culvert', 'rate', 'higher', value), sample('haproxy', 'rate', 'higher', 100)]), [rate])

t.test('a ratio is held against the floor and the goal', (t) => {
  t.match(verdicts(90), [{ verdict: 'goal', figure: 0.9 }])
  t.match(verdicts(89), [{ verdict: 'floor' }])
  t.match(verdicts(75), [{ verdict: 'floor' }])
  t.match(verdicts(74), [{ verdict: 'missed' }])
  t.end()
})

t.test('where lower is better, so is it for the floor; without a subject the value counts', (t) => {
  const series = seriesOf([sample('culvert', 'kib', 'lower', 13)])
  const goal = { scenario: 'x', metric: 'kib', floor: 12 }
  t.match(judge(series, [goal]), [{ verdict: 'missed', figure: 13 }])
  t.match(judge(series, [{ ...goal, floor: 13 }]), [{ verdict: 'goal' }])
  t.equal(renderJudged(judge(series, [goal])), `missed  ${'x kib'.padEnd(46)}    13.00  floor 12\n`)
  t.end()
})

t.test('what was not measured has no verdict', (t) => {
  t.same(judge(seriesOf([sample('haproxy', 'rate', 'higher', 1)]), [rate]), [])
  t.same(judge([]), [])
  t.ok(goals.length > 15)
  t.end()
})
