// Runs commands inside a lab's workloads: in their network namespace, with their resolver. Used by `lab exec`, the demo and
// the netns tests.
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { MeshError } from '../core/base/errors.ts'
import type { WorkloadPlan } from './addressing.ts'
import { type CommandOptions, type CommandResult, tryCommand } from './command.ts'
import { insideNamespace, insideWorkload } from './network.ts'
import { type LabSelector, labPaths, readLab } from './state.ts'
import { resolverFile, workloadEnvironment, workloadKey } from './units.ts'

/** Finds `name.namespace`, or `name` alone where it is unique. Throws RESOURCE_NOT_FOUND with the names that exist. */
export function findWorkload(workloads: readonly WorkloadPlan[], text: string): WorkloadPlan {
  const exact = workloads.find((workload) => workloadKey(workload) === text)
  if (exact !== undefined) return exact
  const named = workloads.filter((workload) => workload.name === text)
  if (named.length === 1) return named[0]!
  const known = workloads.map(workloadKey).join(', ') || 'none'
  const problem = named.length === 0 ? 'no such workload' : 'more than one workload'
  throw new MeshError('RESOURCE_NOT_FOUND', `${problem} "${text}"; the lab has ${known}`)
}

/** The command line for a command inside a workload, and the environment to add. */
export function workloadCommandLine(
  selector: LabSelector,
  workload: string,
  command: readonly string[],
): { readonly line: readonly string[]; readonly environment: Readonly<Record<string, string>> } {
  const paths = labPaths(selector)
  const plan = findWorkload(readLab(paths).plan.workloads, workload)
  return {
    line: insideWorkload(plan.netns, resolverFile(paths, plan), command),
    environment: workloadEnvironment(plan),
  }
}

/** Runs a command inside a workload and collects its output. */
export async function execInWorkload(
  selector: LabSelector,
  workload: string,
  command: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { line, environment } = workloadCommandLine(selector, workload, command)
  const [tool = '', ...args] = line
  return tryCommand(tool, args, { ...options, env: { ...(options.env ?? process.env), ...environment } })
}

/** Starts a command inside a workload; the caller ends it. */
export function spawnInWorkload(
  selector: LabSelector,
  workload: string,
  command: readonly string[],
  stdio: StdioOptions = 'pipe',
): ChildProcess {
  const { line, environment } = workloadCommandLine(selector, workload, command)
  const [tool = '', ...args] = line
  return spawn(tool, args, { stdio, env: { ...process.env, ...environment } })
}

/** Runs a command in a host's network namespace and collects its output. Throws RESOURCE_NOT_FOUND for an unknown host. */
export async function execOnHost(
  selector: LabSelector,
  host: string,
  command: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { plan } = readLab(labPaths(selector))
  const found = host === 'wire' ? plan.wire : plan.hosts.find((candidate) => candidate.name === host)
  if (found === undefined) {
    const known = plan.hosts.map((candidate) => candidate.name).join(', ')
    throw new MeshError('RESOURCE_NOT_FOUND', `no such host "${host}"; the lab has ${known}`)
  }
  const [tool = '', ...args] = insideNamespace(found.netns, command)
  return tryCommand(tool, args, options)
}
