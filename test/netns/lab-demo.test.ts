// The guided tour as its user runs it: `culvert demo --once -o json`.
import { execFile } from 'node:child_process'
import t from 'tap'
import { downLab } from '../../lab/down.ts'
import { listNamespaces } from '../../lab/network.ts'
import { findMarked } from '../../lab/processes.ts'

const main = new URL('../../cli/main.ts', import.meta.url).pathname

interface Result {
  readonly code: number
  readonly out: string
}

function demo(words: readonly string[], stateDir: string, interruptWhen?: RegExp): Promise<Result> {
  const env = { ...process.env, CULVERT_LAB_DIR: stateDir, NODE_OPTIONS: '' }
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, 'demo', '-o', 'json', ...words], { env }, (error, out) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out })
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      if (interruptWhen?.test(chunk.toString()) === true) child.kill('SIGINT')
    })
  })
}

t.test('the tour checks every step, and leaves nothing behind', { timeout: 170_000 }, async (t) => {
  const name = `d${process.pid}`
  const stateDir = t.testdir({})
  t.teardown(() => downLab({ name, stateDir }))
  const { code, out } = await demo(['--once', '--name', name], stateDir)
  const result = JSON.parse(out)
  t.match(result, { ok: true, removed: true }, out)
  t.equal(code, 0)
  t.same(
    result.steps.map((step: { readonly name: string }) => step.name),
    [
      'build',
      'plaintext-before',
      'enrol',
      'encrypted-after',
      'identity',
      'policy',
      'control-killed',
      'rotation',
      'waypoint',
      'remove',
    ],
  )
  t.same(await listNamespaces(name), [])
  t.same(findMarked(name), [])
})

t.test(
  'a tour that is interrupted fails, names the step, and leaves nothing behind',
  { timeout: 120_000 },
  async (t) => {
    const name = `i${process.pid}`
    const stateDir = t.testdir({})
    t.teardown(() => downLab({ name, stateDir }))
    const { code, out } = await demo(['--once', '--name', name], stateDir, /captured meanwhile|read along/)
    t.equal(code, 1)
    t.match(JSON.parse(out), { ok: false, failed: /./, removed: true })
    t.same(await listNamespaces(name), [])
    t.same(findMarked(name), [])
  },
)
