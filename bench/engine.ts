// Our HTTP/2 engine against node:http2 behind the same interface: `node bench/engine.ts [--rounds N] [--ms N] [scenario…]`.
// Of `small` scenarios the columns are p99 in microseconds, and the last ratio is that of p50: less is better.
// Each subject runs in a process of its own, rounds are interleaved, the table prints medians and their ratio.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const subjects = ['culvert', 'node-http2'] as const
const allScenarios = [
  'stream requests 1',
  'stream requests 32',
  'stream requests 128',
  'stream tunnels 32',
  'stream up 1',
  'stream down 1',
  'stream up 8',
  'stream down 8',
  'pumped requests 1',
  'pumped requests 32',
  'pumped requests 128',
  'pumped tunnels 32',
  'pumped up 1',
  'pumped down 1',
  'pumped up 8',
  'pumped down 8',
  'pumped small alone',
  'pumped small up',
  'pumped small down',
]

interface Rate {
  readonly perSecond: number
  readonly perCpuSecond: number
}

async function ask(child: ChildProcess, scenario: string, ms: number): Promise<Rate> {
  child.send({ scenario, ms })
  const [answer] = (await once(child, 'message')) as [Rate]
  return answer
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, ms: { type: 'string', default: '1500' } },
})
const children: ChildProcess[] = []
for (const subject of subjects) {
  const child = fork(fileURLToPath(new URL('engine-subject.ts', import.meta.url)), [subject])
  await once(child, 'message')
  children.push(child)
}
const scenarios = positionals.length > 0 ? positionals : allScenarios
process.stdout.write(
  `${'scenario'.padEnd(24)}${subjects.map((name) => name.padStart(12)).join('')}   ratio   per CPU\n`,
)
for (const scenario of scenarios) {
  const results: Rate[][] = subjects.map(() => [])
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [at, child] of children.entries()) results[at]!.push(await ask(child, scenario, Number(values.ms)))
  }
  const [ours = 0, theirs = 1] = results.map((rates) => median(rates.map((rate) => rate.perSecond)))
  // Pairs of neighbours in time: what else the machine does hits both.
  const [mine = [], other = []] = results
  const ratio = median(mine.map((rate, round) => rate.perSecond / other[round]!.perSecond))
  const cpuRatio = median(mine.map((rate, round) => rate.perCpuSecond / other[round]!.perCpuSecond))
  const digits = scenario.includes('requests') || scenario.includes('tunnels') || scenario.includes('small') ? 0 : 2
  const cells = [ours, theirs].map((value) => value.toFixed(digits).padStart(12)).join('')
  process.stdout.write(
    `${scenario.padEnd(24)}${cells}${ratio.toFixed(2).padStart(8)}${cpuRatio.toFixed(2).padStart(10)}\n`,
  )
}
for (const child of children) child.kill()
