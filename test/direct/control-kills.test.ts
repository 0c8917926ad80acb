// `culvert control` as a process: killed during writes, and started twice on one state directory.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { killApi } from '../helpers/api-kills.ts'
import { ControlProcess, controlCommand } from '../helpers/control-process.ts'

t.setTimeout(240_000)

t.test('kill -9 during 1,000 writes over the API loses no acknowledged one', { timeout: 110_000 }, async (t) => {
  const figures = await killApi(join(t.testdir(), 'state'), 1000, 5)
  t.strictSame(figures.problems, [])
  t.equal(figures.kills, 5)
  t.ok(figures.acknowledged >= 1000, JSON.stringify(figures))
  t.comment(JSON.stringify(figures))
})

t.test('a second control plane on the same state directory is refused', { timeout: 110_000 }, async (t) => {
  const stateDir = join(t.testdir(), 'state')
  const first = new ControlProcess(stateDir)
  t.teardown(() => first.kill())
  await first.start()
  const second = spawnSync(process.execPath, controlCommand(stateDir), { encoding: 'utf8', timeout: 60_000 })
  t.ok(second.status)
  t.match(second.stderr + second.stdout, /another control plane running with the same --state-dir/)
})
