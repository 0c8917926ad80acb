// Runs the rings one after the other under tap and sums them up; started by test/run.sh (`npm test`). Trusts nothing: no tests,
// skipped tests, a runner that died and a ring that cannot run all count as failures. The last line is `N passed, N failed`.
import { spawn } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Count, Tally } from './tally.ts'

interface Ring {
  readonly name: string
  /** Files at the same time. */
  readonly jobs: number
  /** For one file. */
  readonly timeoutSeconds: number
  /** Files that have the machine for themselves, after the others: they weigh processes or time what happens. */
  readonly alone?: readonly string[]
  readonly needsRoot?: boolean
  /** May have no test files yet. */
  readonly mayBeEmpty?: boolean
}

const aloneInNamespaces = [
  'hbone-peer',
  'idle',
  'mixed',
  'partition',
  'replicas',
  'restarts',
  'short-connections',
  'transfer',
  'waypoint-changes',
  'waypoint-streams',
  'worker-crash',
]

const rings: readonly Ring[] = [
  { name: 'unit', jobs: 2, timeoutSeconds: 60 },
  { name: 'repo', jobs: 2, timeoutSeconds: 120 },
  { name: 'direct', jobs: 2, timeoutSeconds: 120 },
  { name: 'netns', jobs: 2, timeoutSeconds: 900, needsRoot: true, alone: aloneInNamespaces },
  { name: 'e2e', jobs: 1, timeoutSeconds: 900, needsRoot: true },
]

interface RingResult extends Count {
  readonly ring: Ring
  readonly files: number
  readonly seconds: number
  readonly note: string
}

const home = fileURLToPath(new URL('..', import.meta.url))
/** Written by the scenarios of the netns ring: `{ ran, tunnelled }`. */
const scenarioFile = join(home, '.tap/culvert-scenarios.json')

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function runRing(ring: Ring): Promise<RingResult> {
  const started = performance.now()
  const files = globSync(`test/${ring.name}/**/*.test.ts`, { cwd: home }).sort()
  const result = (count: Count, note = ''): RingResult => {
    return { ring, ...count, files: files.length, seconds: (performance.now() - started) / 1000, note }
  }
  if (files.length === 0) {
    return result({ passed: 0, failed: ring.mayBeEmpty ? 0 : 1 }, ring.mayBeEmpty ? 'no tests yet' : 'no test files')
  }
  if (ring.needsRoot && process.getuid?.() !== 0) {
    return result({ passed: 0, failed: 1 }, 'cannot run: it makes network namespaces and needs root')
  }
  say(`\n${ring.name}`)
  const alone = new Set((ring.alone ?? []).map((name) => `test/${ring.name}/${name}.test.ts`))
  const missing = [...alone].filter((file) => !files.includes(file))
  if (missing.length > 0) return result({ passed: 0, failed: 1 }, `there is no ${missing.join(', ')}`)
  const together = await runFiles(
    ring,
    ring.jobs,
    files.filter((file) => !alone.has(file)),
  )
  const after = await runFiles(ring, 1, [...alone])
  return result({ passed: together.passed + after.passed, failed: together.failed + after.failed })
}

async function runFiles(ring: Ring, jobs: number, files: readonly string[]): Promise<Count> {
  if (files.length === 0) return { passed: 0, failed: 0 }
  const tally = new Tally(say)
  const problem = await tap([`--jobs=${jobs}`, `--timeout=${ring.timeoutSeconds}`, ...files], (line) =>
    tally.line(line),
  )
  return tally.end(problem)
}

/** Runs tap on the Node that runs this; resolves to how it ended badly, undefined where it ended well. */
function tap(args: readonly string[], onLine: (line: string) => void): Promise<string | undefined> {
  const runner = join(home, 'node_modules/.bin/tap')
  const child = spawn(process.execPath, [runner, '--reporter=tap', '--disable-coverage', ...args], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TAP_REPORTER: undefined },
  })
  const lines = createInterface({ input: child.stdout })
  lines.on('line', onLine)
  const read = new Promise<void>((resolve) => lines.on('close', () => resolve()))
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(`tap did not start: ${error.message}`))
    child.on('exit', async (code, signal) => {
      // A process that a test forgot may hold the pipe open for ever.
      await Promise.race([read, sleep(10_000, undefined, { ref: false })])
      child.stdout.destroy()
      resolve(code === 0 ? undefined : `tap ended with ${signal ?? `status ${code}`}`)
    })
  })
}

/** How many scenarios crossed a real tunnel, from the file that they write; none is a failure. */
function scenarios(): { readonly text: string; readonly failed: number } {
  try {
    const { ran, tunnelled } = JSON.parse(readFileSync(scenarioFile, 'utf8')) as { ran: unknown; tunnelled: unknown }
    const text = `${String(tunnelled)} of ${String(ran)} scenarios of the netns ring crossed a real tunnel`
    return { text, failed: typeof tunnelled === 'number' && tunnelled > 0 ? 0 : 1 }
  } catch {
    return { text: 'the netns ring did not say how many scenarios crossed a real tunnel', failed: 1 }
  }
}

function summary(results: readonly RingResult[]): Count {
  say('\nring     files  passed  failed  seconds')
  for (const { ring, files, passed, failed, seconds, note } of results) {
    const columns = [String(files).padStart(5), String(passed).padStart(7), String(failed).padStart(7)]
    say(`${ring.name.padEnd(8)} ${columns.join(' ')} ${seconds.toFixed(1).padStart(8)}  ${note}`.trimEnd())
  }
  const passed = results.reduce((sum, result) => sum + result.passed, 0)
  let failed = results.reduce((sum, result) => sum + result.failed, 0)
  if (results.some(({ ring, passed }) => ring.name === 'netns' && passed > 0)) {
    const crossed = scenarios()
    say(crossed.text)
    failed += crossed.failed
  }
  return { passed, failed }
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !rings.some((ring) => ring.name === name))
  if (unknown.length > 0) {
    say(`no ring ${unknown.join(', ')}; there are ${rings.map((ring) => ring.name).join(', ')}`)
    return 2
  }
  mkdirSync(join(home, '.tap'), { recursive: true })
  rmSync(scenarioFile, { force: true })
  const results: RingResult[] = []
  for (const ring of rings) if (names.length === 0 || names.includes(ring.name)) results.push(await runRing(ring))
  const { passed, failed } = summary(results)
  say(`${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

process.exitCode = await main(process.argv.slice(2))
