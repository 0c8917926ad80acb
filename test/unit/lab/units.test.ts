import t from 'tap'
import { planLab } from '../../../lab/addressing.ts'
import { labPaths } from '../../../lab/state.ts'
import { allUnits } from '../../../lab/units.ts'

const plan = planLab('x', { hosts: ['h1', 'h2'], workloads: [] })
const paths = labPaths({ name: 'x', stateDir: '/nowhere' })

t.test('more environment reaches the process that it is for, and no other', (t) => {
  const units = allUnits(plan, paths, { logLevel: 'warn', environment: { 'daemon@h2': { CULVERT_WORKERS: '2' } } })
  t.same(
    units.map(({ name, environment }) => [name, environment['CULVERT_WORKERS'], environment['CULVERT_LOG_LEVEL']]),
    [
      ['control', undefined, 'warn'],
      ['daemon@h1', undefined, 'warn'],
      ['agent@h1', undefined, 'warn'],
      ['daemon@h2', '2', 'warn'],
      ['agent@h2', undefined, 'warn'],
    ],
  )
  t.end()
})
