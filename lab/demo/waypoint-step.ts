// The step of the tour about layer 7: one service gets a waypoint, and what a VirtualService says of its requests. In steps.ts's list.
import { applyObject } from '../../cli/apply.ts'
import { waitUntil } from '../lab.ts'
import { caller, expect, fileOf, objectsOf, serviceUrl, stranger, type TourStep } from './tour.ts'

export const waypoint: TourStep = {
  name: 'waypoint',
  title: 'Layer 7 for one service',
  words:
    'A label puts service-b behind a waypoint, which runs on h3; an Istio VirtualService has it answer testers with 418. Everybody ' +
    'else goes on to service-b, which still knows who calls: the policy of before holds.',
  command: () => 'culvert apply -f lab/demo/waypoint.yaml',
  run: async (tour) => {
    for (const object of objectsOf(fileOf('./waypoint.yaml'))) await applyObject(tour.client, object)
    const plan = { url: serviceUrl, fresh: true, timeoutMs: 5_000 }
    const tester = { ...plan, headers: { 'x-tester': 'yes' }, expected: [418] }
    await waitUntil(
      'the waypoint answers testers',
      async () => (await tour.load(caller, { ...tester, count: 1 })).succeeded === 1,
      15_000,
    )
    const testers = await tour.load(caller, { ...tester, count: 20 })
    expect(testers.failed === 0, `testers are not all answered by the waypoint: ${JSON.stringify(testers.statuses)}`)
    const others = await tour.load(caller, { ...plan, count: 20 })
    expect(others.failed === 0, `requests through the waypoint fail: ${JSON.stringify(others.failures)}`)
    const refused = await tour.load(stranger, { ...plan, count: 10, expected: [403] })
    expect(refused.failed === 0, `the policy does not hold behind the waypoint: ${JSON.stringify(refused.statuses)}`)
    return {
      finding:
        'service-a: 20 of 20 requests answered, 20 of 20 as a tester with 418 by the waypoint; service-c: 10 of 10 get 403',
      facts: { answered: others.succeeded, testers: testers.succeeded, refused: refused.succeeded },
    }
  },
}
