// ReferenceGrant: groups and kinds that no reference has, so that the grant grants nothing.
import type { Path } from '../../model/fields/field.ts'
import { kinds } from '../../model/kinds.ts'
import { nearestOf } from '../../model/suggest.ts'
import type { Rule, RuleContext } from '../rule.ts'
import { type Fields, items, specOf, text } from '../values.ts'

const grants: Rule = (context) => {
  const spec = specOf(context.object)
  for (const side of ['from', 'to']) {
    for (const { value, at } of items(spec[side], ['spec', side])) checkKind(context, value, at)
  }
}

/** Kinds that this mesh does not serve may be meant: only what is nearly one that it does is told. */
function checkKind({ report }: RuleContext, { group, kind }: Fields, at: Path): void {
  const name = text(kind) ?? ''
  const known = kinds.filter((row) => row.kind === name)
  if (known.length === 0) {
    const near = nearestOf(
      name,
      kinds.map((row) => row.kind),
    )
    if (near === undefined) return
    report('ReferenceNotFound', [...at, 'kind'], `"${name}" is no kind that refers or is referred to`, `write ${near}`)
    return
  }
  if (typeof group !== 'string' || known.some((row) => row.group === group)) return
  const [{ group: own } = { group: '' }] = known
  // a Gateway of Istio's is another kind than that of the Gateway API
  if (group.includes('.') && nearestOf(group, [own]) === undefined) return
  const remedy = own === '' ? 'write group: "", which is the core group' : `write ${own}`
  report('ReferenceNotFound', [...at, 'group'], `there is no ${name} in the API group "${group}"`, remedy)
}

export const referenceGrantRules: readonly Rule[] = [grants]
