// JSON merge patch (RFC 7386): how `kubectl label`, `annotate` and `patch --type merge` change an object.
import { isObject } from '../../../core/model/field-check.ts'

/** The target with the patch applied; neither is changed. A null in the patch removes, a list replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = new Map<string, unknown>(isObject(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key), value))
  }
  return Object.fromEntries(merged)
}
