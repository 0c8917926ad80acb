// Bulk throughput, and what it does to small messages between the same hosts.
import type { Direction } from '../load/plan.ts'
import { latencies, openLoopPlan } from './requests.ts'
import type { Scenario } from './scenario.ts'

const warmMs = 200

function bulk(streams: number, direction: Direction): Scenario {
  return {
    name: `bulk-${direction}-${streams}`,
    group: 'bulk',
    quick: direction !== 'both',
    uncaptured: direction !== 'both',
    how: 'rounds',
    leadIn: 1,
    async *run(target, { seconds }) {
      const plan = {
        kind: 'bulk',
        ...target.destination('bulk'),
        streams,
        direction,
        warmMs,
        ms: seconds * 1_000,
      } as const
      const { gigabitsPerSecond } = await target.generator.run(plan)
      yield { metric: 'rate', value: gigabitsPerSecond, unit: 'Gbit/s', better: 'higher' }
    },
  }
}

/** Few enough that the messages alone leave the machine idle. */
const messagesPerSecond = 500

const beside: Scenario = {
  name: 'messages-beside-bulk',
  group: 'beside',
  quick: false,
  uncaptured: false,
  how: 'rounds',
  leadIn: 1,
  async *run(target, settings) {
    const plan = { ...openLoopPlan(target, { ...settings, rate: messagesPerSecond }), connections: 8 }
    const second = target.secondGenerator
    await second.ready()
    const alone = await target.generator.run(plan)
    const bulkMs = plan.warmMs + plan.ms + 200
    const bulkPlan = {
      kind: 'bulk',
      ...target.destination('bulk'),
      streams: 1,
      direction: 'up',
      warmMs,
      ms: bulkMs,
    } as const
    const stream = second.run(bulkPlan)
    const [crowded, { gigabitsPerSecond }] = await Promise.all([target.generator.run(plan), stream])
    yield* latencies(alone, '-alone')
    yield* latencies(crowded, '-beside')
    yield { metric: 'p99-beside/alone', value: crowded.p99Us / alone.p99Us, unit: 'times', better: 'lower' }
    yield { metric: 'bulk-rate', value: gigabitsPerSecond, unit: 'Gbit/s', better: 'higher' }
  },
}

export const bulkScenarios: readonly Scenario[] = [
  ...([1, 8] as const).flatMap((streams) => (['up', 'down', 'both'] as const).map((way) => bulk(streams, way))),
  beside,
]
