// Kubernetes' own kinds beyond what their schemas say: what belongs together, what is filled in, what `get` shows.
import fc from 'fast-check'
import t from 'tap'
import { coreKinds } from '../../../core/model/kinds/core.ts'
import { withDefaults } from '../../../core/model/normalize.ts'
import { formatPath } from '../../../core/model/problem.ts'
import { validateObject } from '../../../core/model/validate.ts'
import { exampleOf, exampleWith, objectsOf } from '../../helpers/objects-of-kind.ts'
import { placedFields } from '../../oracle/table-paths.ts'

function said(object: object): readonly string[] {
  return validateObject(object).map(({ at = [], message }) => `${formatPath(at)} ${message}`)
}

for (const kind of coreKinds) {
  t.test(`every field of ${kind.kind} can be written, and stays as it was written`, (t) => {
    for (const size of ['minimal', 'full'] as const) t.strictSame(said(exampleOf(kind, 'v1', size)), [], size)
    for (const path of placedFields(kind, 'v1').keys()) {
      // containers of several lists need several names, and examples have one
      if (/^status|^spec\.(?:init|ephemeral)Containers/.test(path)) continue
      // an event with eventTime needs four more fields: beyond what examples try
      if (kind.kind === 'Event' && path === 'eventTime') continue
      const object = exampleWith(kind, 'v1', path)
      t.ok(object, path)
      if (object !== undefined) t.strictSame(said(object), [], path)
    }
    t.end()
  })
  t.test(`defaults of ${kind.kind} are valid and are filled in once`, (t) => {
    const property = fc.property(objectsOf(kind, 'v1'), (object) => {
      const filled = withDefaults(object)
      t.strictSame(said(filled), [])
      t.strictSame(withDefaults(filled), filled)
    })
    fc.assert(property, { numRuns: 20 })
    t.end()
  })
}
