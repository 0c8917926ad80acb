// The conformance table of the Gateway API's mesh profile on the wire: through two daemons and a waypoint.
import t from 'tap'
import { manifests, topology } from '../conformance/base.ts'
import { allCases } from '../conformance/cases/all.ts'
import { type CaseOutcome, runCase } from '../conformance/lab-run.ts'
import { belowFloor, sharesOf, summaryOf } from '../conformance/report.ts'
import { meshLab } from '../helpers/mesh-lab.ts'

t.setTimeout(600_000)

// Of the file, not of a test: it must outlive the lab.
const stateDir = t.testdir({})

t.test('the conformance table', async (t) => {
  const mesh = await meshLab({ name: 'conformance', stateDir, topology, manifests })
  t.teardown(() => mesh.close())
  const outcomes: CaseOutcome[] = []
  for (const test of allCases) {
    await t.test(`${test.profile} ${test.level}: ${test.name}`, async (t) => {
      const outcome = await runCase(mesh, test)
      outcomes.push(outcome)
      t.same(outcome.problems, [])
    })
  }
  const shares = sharesOf(outcomes)
  t.comment(summaryOf(shares))
  t.same(belowFloor(shares), [], 'all of core, nine tenths of extended')
})
