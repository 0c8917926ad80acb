// Finds and reads the resource files that `-f` names, checks all of them offline, and gives the objects in the order in which
// they must be applied. Used by apply, delete and the lab.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { MeshError } from '../core/base/errors.ts'
import { kindOf } from '../core/model/kinds.ts'
import { type Manifest, parseManifests, validateManifests } from '../core/model/manifest.ts'
import { formatProblem, type Problem } from '../core/model/problem.ts'
import type { MeshObject } from '../core/model/resource.ts'

export interface LoadedManifests {
  readonly manifests: readonly Manifest[]
  readonly problems: readonly Problem[]
  /** Objects with problems whose name is known. */
  readonly faulty: readonly Manifest[]
}

/**
 * The files that one `-f` means: a file, or every .yaml, .yml and .json of a folder (and of those below it, where `recursive`).
 * Throws CONFIG_INVALID for neither.
 */
export function manifestFiles(path: string, recursive = false): readonly string[] {
  let folder: boolean
  try {
    folder = statSync(path).isDirectory()
  } catch (cause: unknown) {
    throw new MeshError('CONFIG_INVALID', `cannot read ${path}: no such file or folder`, { cause })
  }
  if (!folder) return [path]
  const files = readdirSync(path, { withFileTypes: true, recursive })
    .filter((entry) => entry.isFile() && /\.(ya?ml|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
  if (files.length === 0) throw new MeshError('CONFIG_INVALID', `${path} has no .yaml, .yml or .json file`)
  return files
}

/** Reads and checks every file; `-` reads `stdin`. All problems of all files are collected. */
export function loadManifests(
  paths: readonly string[],
  namespace: string,
  stdin: () => string,
  recursive = false,
): LoadedManifests {
  const manifests: Manifest[] = []
  const faulty: Manifest[] = []
  const problems: Problem[] = []
  for (const path of paths) {
    for (const file of path === '-' ? ['-'] : manifestFiles(path, recursive)) {
      const text = file === '-' ? stdin() : readFileSync(file, 'utf8')
      const parsed = parseManifests(text, file === '-' ? 'stdin' : file)
      problems.push(...parsed.problems)
      manifests.push(...parsed.objects)
      faulty.push(...parsed.faulty)
    }
  }
  const placed = manifests.map((manifest) => place(manifest, namespace))
  if (problems.length === 0) problems.push(...validateManifests(placed))
  return {
    manifests: placed.toSorted(byApplyOrder),
    problems,
    faulty: faulty.map((manifest) => place(manifest, namespace)),
  }
}

/** Reads and checks files that must be right. Throws RESOURCE_INVALID with one `file:line:column: path: message` per problem. */
export function requireManifests(
  paths: readonly string[],
  namespace: string,
  stdin: () => string,
  recursive = false,
): readonly Manifest[] {
  const { manifests, problems } = loadManifests(paths, namespace, stdin, recursive)
  if (problems.length > 0) throw new MeshError('RESOURCE_INVALID', problems.map(formatProblem).join('\n'))
  return manifests
}

/** A namespaced object without a namespace goes to that of the command. */
function place(manifest: Manifest, namespace: string): Manifest {
  const { object } = manifest
  const kind = kindOf(object.apiVersion, object.kind)
  if (kind?.namespaced !== true || object.metadata?.namespace !== undefined) return manifest
  const placed: MeshObject = { ...object, metadata: { ...object.metadata, namespace } }
  return { ...manifest, object: placed }
}

/** Namespaces first, then policies, so that a policy stands before what it guards; the rest in the order of the files. */
const order: readonly string[] = ['Namespace', 'PeerAuthentication', 'AuthorizationPolicy']

function byApplyOrder(a: Manifest, b: Manifest): number {
  return rank(a.object.kind) - rank(b.object.kind)
}

function rank(kind: string): number {
  const index = order.indexOf(kind)
  return index < 0 ? order.length : index
}
