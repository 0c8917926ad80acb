// Five thousand idle connections through one pair of daemons: what each costs and what the processes weigh without any; then the
// same again and again, with garbage collected all the time, to see whether closed connections leave something behind.
// `npm run soak -- idle [CONNECTIONS]`; docs/PERFORMANCE.md has its table.
import { type IdleFigures, idleConnections } from '../helpers/idle-runs.ts'
import { argument, inLab, type Outcome, problem, soak } from '../helpers/soak.ts'
import { type DaemonUnit, daemons } from '../helpers/traffic-lab.ts'

const connections = argument(0, 5_000)
/** Long enough for a PING or two. */
const restMs = 25_000
/** Longer than the garbage collection's turn. */
const collectMs = 5_000
const rounds = 4
/** Of the last round over the second; a leak of all that a connection takes is ten times as much. */
const mostGrowthKib = 4 * connections
const collect = `--import ${new URL('../helpers/traffic/collect-garbage.mjs', import.meta.url).href}`

async function again(): Promise<readonly IdleFigures[]> {
  return await inLab(
    'soakidleagain',
    async (lab) => {
      const figures: IdleFigures[] = []
      for (let round = 0; round < rounds; round++) figures.push(await idleConnections(lab, connections, collectMs))
      return figures
    },
    { nodeOptions: collect },
  )
}

async function run(): Promise<Outcome> {
  const once = await inLab('soakidle', (lab) => idleConnections(lab, connections, restMs))
  const repeated = await again()
  const grown = (unit: DaemonUnit): number => repeated.at(-1)!.fullKib[unit] - repeated[1]!.fullKib[unit]
  return {
    figures: { once, repeatedKib: repeated.map(({ fullKib, afterKib }) => ({ fullKib, afterKib })) },
    problems: [
      ...[once, ...repeated].flatMap(({ counted, answering, closed }) => [
        ...problem(counted.h1 !== connections || counted.h2 !== connections, 'a daemon does not have them all'),
        ...problem(answering !== connections || closed > 0, `${closed} were closed, ${answering} answered`),
      ]),
      ...daemons.flatMap((unit) => problem(grown(unit) > mostGrowthKib, `${unit} kept memory of closed connections`)),
    ],
  }
}

await soak('idle', run)
