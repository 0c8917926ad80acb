// `npm run fuzz -- [TARGET…] [--minutes N] [--seed S] [--path P]`: fuzzes for as long as it is told, all targets in turn, each batch of
// runs with a seed of its own. The first failure ends it with what repeats it; so does a run that hangs.
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { FuzzTarget } from './target.ts'
import { http2Targets } from './targets-http2.ts'
import { meshTargets } from './targets-mesh.ts'

const targets: readonly FuzzTarget[] = [...http2Targets, ...meshTargets]
const hangMs = 60_000
const say = (line: string) => process.stdout.write(`${line}\n`)

/** A thread that ends the process when nothing is heard for too long: a loop without an end lets no timer of its own thread run. */
function watchdog(): (what: string) => void {
  const source = `
    const { workerData, parentPort } = require('node:worker_threads')
    let what = 'the start', heard = Date.now()
    parentPort.on('message', (text) => { what = text; heard = Date.now() })
    setInterval(() => {
      if (Date.now() - heard < workerData) return
      require('node:fs').writeSync(1, 'hangs: ' + what + '\\n')
      process.kill(process.pid, 'SIGKILL')
    }, 1000)`
  const worker = new Worker(source, { eval: true, workerData: hangMs })
  worker.unref()
  return (what) => worker.postMessage(what)
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' }, path: { type: 'string' } },
  })
  const unknown = positionals.filter((name) => !targets.some((target) => target.name === name))
  if (unknown.length > 0) {
    say(`no target ${unknown.join(', ')}; there are ${targets.map(({ name }) => name).join(', ')}`)
    return 2
  }
  const chosen = targets.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  const heard = watchdog()
  let current = 'the start'
  process.on('uncaughtException', (error) => {
    say(`escaped: ${current}\n${error.stack}`)
    process.exit(1)
  })
  const first = values.seed === undefined ? Date.now() & 0x7fff_ffff : Number(values.seed)
  const end = performance.now() + Number(values.minutes) * 60_000
  const runs = new Map<string, number>()
  for (let seed = first; ; seed += 1) {
    for (const { name, slow, run } of chosen) {
      const count = slow ? 100 : 2_000
      current = `${name} --seed ${seed}`
      heard(current)
      const failure = await run({ seed, count, ...(values.path === undefined ? {} : { path: values.path }) })
      if (failure !== undefined) {
        say(`${name} failed with seed ${seed}: ${failure}`)
        return 1
      }
      runs.set(name, (runs.get(name) ?? 0) + count)
      if (performance.now() > end || values.path !== undefined) {
        say([...runs].map(([target, number]) => `${target}: ${number} runs`).join('\n'))
        say(`no failure with seeds ${first} to ${seed}`)
        return 0
      }
    }
  }
}

process.exit(await main())
