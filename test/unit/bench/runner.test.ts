import t from 'tap'
import { inTurn, type Runnable, runScenarios } from '../../../bench/runner.ts'
import type { Measured } from '../../../bench/subjects.ts'

interface Target {
  readonly name: Measured
}

const targets: readonly Target[] = [{ name: 'culvert' }, { name: 'haproxy' }, { name: 'haproxy-uncaptured' }]
const settings = { seconds: 1, rate: 1, churnMinutes: 1 }
const sample = { metric: 'rate', value: 1, unit: '', better: 'higher' } as const

function scenario(over: Partial<Runnable<Target>>): Runnable<Target> {
  const base = { name: 'x', group: 'x', quick: true, uncaptured: false, how: 'rounds', leadIn: 0 } as const
  return {
    ...base,
    async *run() {
      yield sample
    },
    ...over,
  }
}

function plan(scenarios: readonly Runnable<Target>[], signal = new AbortController().signal) {
  return { scenarios, targets, rounds: 3, settings, progress: () => {}, signal }
}

t.test('rounds are interleaved and each begins with another subject', async (t) => {
  const seen: string[] = []
  const { samples } = await runScenarios(
    plan([
      scenario({
        async *run({ name }) {
          seen.push(name)
          yield sample
        },
      }),
    ]),
  )
  t.same(seen, ['culvert', 'haproxy', 'haproxy', 'culvert', 'culvert', 'haproxy'])
  t.same(
    samples.map(({ round }) => round),
    [0, 0, 1, 1, 2, 2],
  )
  t.same(inTurn([1, 2, 3], 4), [2, 3, 1])
  t.same(inTurn([], 4), [])
})

t.test('a lead-in runs everybody once before the first round, longer and uncounted', async (t) => {
  const seen: string[] = []
  const { samples, failures } = await runScenarios(
    plan([
      scenario({
        leadIn: 2,
        async *run({ name }, { seconds }) {
          seen.push(`${name} ${seconds}`)
          if (seconds === 2 && name === 'haproxy') throw new Error('not yet')
          yield sample
        },
      }),
    ]),
  )
  t.same(seen.slice(0, 4), ['culvert 2', 'haproxy 2', 'culvert 1', 'haproxy 1'])
  t.equal(samples.length, 6)
  t.same(failures, [], 'what fails there is told if it lasts')
})

t.test('peers without capture run where the scenario wants them', async (t) => {
  const { samples } = await runScenarios(plan([scenario({ uncaptured: true, how: 'once' })]))
  t.same(
    samples.map(({ subject }) => subject),
    ['culvert', 'haproxy', 'haproxy-uncaptured'],
  )
})

t.test('a run that fails is told with its reason; what it found before counts, and the others go on', async (t) => {
  const { samples, failures } = await runScenarios(
    plan([
      scenario({
        how: 'once',
        async *run({ name }) {
          yield sample
          if (name === 'culvert') throw new Error('refused')
          yield { ...sample, metric: 'later' }
        },
      }),
    ]),
  )
  t.same(failures, [{ scenario: 'x', subject: 'culvert', round: 0, reason: 'refused' }])
  t.same(
    samples.map(({ subject, metric }) => `${subject} ${metric}`),
    ['culvert rate', 'haproxy rate', 'haproxy later'],
  )
})

t.test('an interruption ends the run that is under way, and is no failure of anybody', async (t) => {
  const abort = new AbortController()
  const running = runScenarios(
    plan(
      [
        scenario({
          async *run() {
            queueMicrotask(() => abort.abort())
            await new Promise(() => {})
            yield sample
          },
        }),
      ],
      abort.signal,
    ),
  )
  await t.rejects(running, { name: 'AbortError' })
})

t.test('subjects run at the same time where the scenario says so', async (t) => {
  let [open, most] = [0, 0]
  await runScenarios(
    plan([
      scenario({
        how: 'together',
        async *run() {
          open += 1
          most = Math.max(most, open)
          await new Promise((resolve) => setImmediate(resolve))
          open -= 1
          yield sample
        },
      }),
    ]),
  )
  t.equal(most, 2)
})
