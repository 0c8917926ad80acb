// What a server-side apply says where others own what it would change, in the words and causes by which kubectl tells its users.
import { ApiError } from '../errors.ts'
import { formatFieldPath, pathsOf } from './field-set.ts'
import type { Owner } from './managers.ts'

/** 409 with a cause per field (apimachinery, `NewApplyConflict`; apiserver, `managedfields.NewConflictError`). */
export function applyConflict(found: readonly Owner[]): ApiError {
  const byManager = found
    .map((owner) => ({ manager: describeOwner(owner), paths: [...pathsOf(owner.set)].map(formatFieldPath) }))
    .sort((a, b) => (a.manager < b.manager ? -1 : 1))
  const causes = byManager.flatMap(({ manager, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${manager}`, field })),
  )
  return new ApiError('Conflict', messageOf(byManager, causes.length), { details: { causes } })
}

function messageOf(byManager: readonly { manager: string; paths: readonly string[] }[], count: number): string {
  const [first] = byManager
  if (count === 1) return `Apply failed with 1 conflict: conflict with ${first!.manager}: ${first!.paths[0]}`
  const lines = byManager.flatMap(({ manager, paths }) => [
    `conflicts with ${manager}:`,
    ...paths.map((path) => `- ${path}`),
  ])
  return `Apply failed with ${count} conflicts: ${lines.join('\n')}`
}

/** `"kubectl-edit" using v1 at 2026-01-01T00:00:00Z`; an applier by its name alone. */
function describeOwner({ manager, subresource, operation, apiVersion, time }: Owner): string {
  const door = subresource === undefined ? '' : ` with subresource ${JSON.stringify(subresource)}`
  const name = `${JSON.stringify(manager)}${door}`
  if (operation === 'Apply') return name
  return `${name} using ${apiVersion}${time === undefined ? '' : ` at ${time}`}`
}
