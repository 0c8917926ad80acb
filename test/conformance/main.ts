// `npm run conformance [-- NAME…] [-o json]`: builds a lab with a waypoint, runs the table in it, or the tests of these names, tells
// what passed, and removes the lab. Status 1 where less passes than must. `--keep` leaves the lab.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { meshLab } from '../helpers/mesh-lab.ts'
import { manifests, topology } from './base.ts'
import { allCases } from './cases/all.ts'
import { type CaseOutcome, runCase } from './lab-run.ts'
import { belowFloor, lineOf, sharesOf, summaryOf } from './report.ts'

const words = process.argv.slice(2)
const json = words.some((word, index) => word === '-o' && words[index + 1] === 'json')
const keep = words.includes('--keep')
const names = words.filter((word, index) => !word.startsWith('-') && words[index - 1] !== '-o')
const cases = allCases.filter(({ name }) => names.length === 0 || names.includes(name))
if (cases.length === 0) {
  process.stderr.write(
    `no test of these names; there are\n${[...new Set(allCases.map(({ name }) => `  ${name}`))].join('\n')}\n`,
  )
  process.exit(2)
}

const stateDir = mkdtempSync(join(tmpdir(), 'culvert-conformance-'))
const outcomes: CaseOutcome[] = []
const mesh = await meshLab({ name: 'conformance', stateDir, topology, manifests })
try {
  for (const test of cases) {
    const outcome = await runCase(mesh, test)
    outcomes.push(outcome)
    if (!json) process.stdout.write(`${lineOf(outcome)}\n`)
  }
} finally {
  if (!keep) {
    await mesh.close()
    rmSync(stateDir, { recursive: true, force: true })
  } else process.stderr.write(`the lab ${mesh.lab.paths.name} is left in ${stateDir}\n`)
}
const shares = sharesOf(outcomes)
process.stdout.write(json ? `${JSON.stringify({ shares, cases: outcomes }, null, 2)}\n` : `\n${summaryOf(shares)}\n`)
process.exitCode = belowFloor(shares).length === 0 ? 0 : 1
// what --keep leaves must not keep this process
process.exit()
