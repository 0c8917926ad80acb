// A daemon on the old engine: what bench/baseline/use.ts swaps, in the main thread and in workers.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const file = (path: string): string => new URL(`../../../${path}`, import.meta.url).href
const preload = file('bench/baseline/use.ts')

/** Which of the two modules a program gets where it imports the engine's. */
function program(module: string): string {
  const [wanted, old] = [file(`core/hbone/${module}.ts`), file(`bench/baseline/${module}.ts`)]
  const name = { pool: 'TunnelPool', server: 'TunnelServer', pump: 'pump' }[module]
  return `Promise.all([import('${wanted}'), import('${old}')])
    .then(([got, old]) => console.log('${module}', got.${name} === old.${name} ? 'old' : 'new'))`
}

async function run(code: string, preloaded: boolean, options: readonly string[] = []): Promise<string> {
  const words = ['--disable-warning=ExperimentalWarning', ...options, '-e', code]
  // As daemons get it, and without what tap would preload.
  const env = { PATH: process.env['PATH'], NODE_OPTIONS: preloaded ? `--import=${preload}` : '' }
  return (await promisify(execFile)(process.execPath, words, { env })).stdout
}

const modules = ['pool', 'server', 'pump'] as const

t.test('with the preload every entry to the engine is the old one, in workers too', async (t) => {
  const folder = t.testdir(Object.fromEntries(modules.map((module) => [`${module}.mjs`, program(module)])))
  for (const module of modules) {
    t.equal(await run(program(module), true), `${module} old\n`)
    const worker = `new (require('node:worker_threads').Worker)('${folder}/${module}.mjs')`
    t.equal(await run(worker, true), `${module} old\n`, 'in a worker')
    t.equal(await run(program(module), false), `${module} new\n`, 'without the preload')
  }
})

t.test('what the old engine has no part in stays as it is', async (t) => {
  const code = `Promise.all(['limits', 'types'].map((name) => import('${file('core/hbone/')}' + name + '.ts')))
    .then(([limits]) => console.log(typeof limits.defaultLimits))`
  t.equal(await run(code, true), 'object\n')
})

/** Two daemons and what one connection between them echoes. */
const echoed = `
  const { echo, scene, vip } = await import('${file('test/helpers/daemon-scene.ts')}')
  const { world } = await scene({ teardown() {} })
  console.log(await echo(await world.sockets.captureOutbound('10.0.1.1', vip), 'carried'))
  process.exit(0)`

t.test('daemons on the old engine carry bytes', async (t) => {
  t.equal(await run(echoed, true, ['--input-type=module']), 'carried\n')
})
