// The manifest with which the kubectl script begins, by kind: test/e2e/manifests/<plural>.<group>.yaml.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Kind } from '../../core/model/kinds/kind.ts'

/** Throws where a kind has no manifest: a new kind needs one. */
export function exampleManifest(kind: Kind): Record<string, unknown> {
  const name = kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`
  return parse(readFileSync(join(import.meta.dirname, 'manifests', `${name}.yaml`), 'utf8')) as Record<string, unknown>
}
