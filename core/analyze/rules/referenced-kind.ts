// Groups and kinds in references of the Gateway API that nothing has: the reference leads nowhere, the grant grants nothing.
import type { Path } from '../../model/fields/field.ts'
import { kinds } from '../../model/kinds.ts'
import { nearestOf } from '../../model/suggest.ts'
import type { Rule, RuleContext } from '../rule.ts'
import { items, specOf, text } from '../values.ts'

const names = kinds.map(({ kind }) => kind)
const groups: ReadonlySet<string> = new Set(kinds.map(({ group }) => group))

/** Reports a kind and group that do not belong together. Kinds of groups that this mesh does not serve may be anything. */
export function checkKind({ report }: RuleContext, group: string, kind: string, at: Path): void {
  const known = kinds.filter((row) => row.kind === kind)
  const [own] = known
  if (own === undefined) {
    const near = nearestOf(kind, names)
    if (near === undefined || !groups.has(group)) return
    report(
      'ReferenceNotFound',
      [...at, 'kind'],
      `there is no kind "${kind}" in the API group "${group}"`,
      `write ${near}`,
    )
    return
  }
  if (known.some((row) => row.group === group)) return
  // a Gateway of a product that is not served is another kind than that of the Gateway API
  if (!groups.has(group) && group.includes('.') && nearestOf(group, [own.group]) === undefined) return
  const remedy = own.group === '' ? 'write group: "", which is the core group' : `write group: ${own.group}`
  report('ReferenceNotFound', [...at, 'group'], `there is no ${kind} in the API group "${group}"`, remedy)
}

const grants: Rule = (context) => {
  const spec = specOf(context.object)
  for (const side of ['from', 'to']) {
    for (const { value, at } of items(spec[side], ['spec', side])) {
      checkKind(context, text(value['group']) ?? '', text(value['kind']) ?? '', at)
    }
  }
}

export const referenceGrantRules: readonly Rule[] = [grants]
