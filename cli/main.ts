// The `culvert` command, started by bin/culvert. The processes of the mesh stay for months: where their flags are plain they
// start without the parser and the client of the other commands, which each would otherwise hold for as long as it lives.
import type { MeshProcess } from './commands/process.ts'

const processes: Readonly<Record<string, () => Promise<MeshProcess>>> = {
  agent: async () => (await import('./commands/agent.ts')).agentProcess,
  control: async () => (await import('./commands/control.ts')).controlProcess,
  daemon: async () => (await import('./commands/daemon.ts')).daemonProcess,
  waypoint: async () => (await import('./commands/waypoint.ts')).waypointProcess,
}

/** Runs one command line (without node and script). @returns the exit code */
export async function main(words: readonly string[]): Promise<number> {
  const [name = '', ...rest] = words
  const process = Object.hasOwn(processes, name) ? await processes[name]!() : undefined
  try {
    if (process !== undefined && (await process.startPlainly(rest))) return 0
  } catch (error: unknown) {
    const { explain } = await import('./commands/all.ts')
    return explain(error)
  }
  const { runCommandLine } = await import('./commands/all.ts')
  return await runCommandLine(words)
}

if (import.meta.main) {
  // A reader that goes away, as in `culvert get … | head`, ends the command quietly.
  process.stdout.on('error', () => process.exit(0))
  process.exitCode = await main(process.argv.slice(2))
}
