// The definitions that every document shares: metadata, lists, deletion, answers, under the names that Kubernetes clients expect.
import { metadataField } from '../../../core/model/fields/metadata.ts'
import { intOrString, propertiesOf, type Schema } from './schema.ts'

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'

export const objectMeta = `${meta}.ObjectMeta`
export const listMeta = `${meta}.ListMeta`
export const deleteOptions = `${meta}.DeleteOptions`
export const status = `${meta}.Status`
export const patchBody = `${meta}.Patch`
export const watchEvent = `${meta}.WatchEvent`

export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

/** A property that is another definition, with words of its own (OpenAPI 3.0 forbids siblings of `$ref`). */
export function refWith(name: string, description: string): Schema {
  return { description, allOf: [ref(name)], default: {} }
}

const text = (description: string): Schema => ({ type: 'string', description })
const flag = (description: string): Schema => ({ type: 'boolean', description })
const whole = (description: string): Schema => ({ type: 'integer', format: 'int64', description })
const object = (description: string, properties: Schema): Schema => ({ type: 'object', description, properties })
const list = (description: string, items: Schema, type = 'atomic'): Schema => {
  return { type: 'array', description, items, 'x-kubernetes-list-type': type }
}

/** Of every object. */
export const typeMeta = {
  apiVersion: text('Group and version of this representation of the object.'),
  kind: text('Kind of the object.'),
}

const managedFields = list(
  'Which manager owns which fields, for server-side apply.',
  object('The fields of one manager.', {
    apiVersion: text('Version of the resource that the fields belong to.'),
    fieldsType: text('FieldsV1.'),
    fieldsV1: { type: 'object', description: 'The set of fields.' },
    manager: text('Name of the manager.'),
    operation: text('Apply or Update.'),
    subresource: text('The subresource through which the fields were written.'),
    time: { ...text('When the fields were last changed.'), format: 'date-time' },
  }),
)

const preconditions = object('What must hold for the deletion to go ahead.', {
  uid: text('Wanted uid.'),
  resourceVersion: text('Wanted resource version.'),
})

const details = object('More about the answer.', {
  name: text('Name of the object.'),
  group: text('Group of the resource.'),
  kind: text('Resource.'),
  uid: text('UID of the object.'),
  causes: list(
    'What was wrong, one by one.',
    object('One cause.', {
      reason: text('Machine-readable reason.'),
      message: text('Words for people.'),
      field: text('The field that caused it.'),
    }),
  ),
  retryAfterSeconds: { type: 'integer', format: 'int32', description: 'Seconds to wait before trying again.' },
})

const metaKind = (kind: string) => ({ 'x-kubernetes-group-version-kind': [{ group: '', kind, version: 'v1' }] })

/** The part that is the same in every document. */
export function sharedDefinitions(version: string): Readonly<Record<string, Schema>> {
  const { properties } = propertiesOf(metadataField.fields, version) as { properties: Schema }
  return {
    [objectMeta]: object('Name, labels and bookkeeping of an object.', { ...properties, managedFields }),
    [listMeta]: object('Where a list stands.', {
      continue: text('Token for the next part of a list that was limited.'),
      remainingItemCount: whole('How many objects follow this part.'),
      resourceVersion: text('Revision of the list; a watch may continue from it.'),
      selfLink: text('Withdrawn by Kubernetes.'),
    }),
    [deleteOptions]: { ...object('How to delete.', deletionProperties), ...metaKind('DeleteOptions') },
    [status]: {
      ...object('An answer that is not an object of the resource.', statusProperties),
      ...metaKind('Status'),
    },
    [intOrString]: {
      description: 'A whole number, or a string.',
      oneOf: [{ type: 'integer' }, { type: 'string' }],
      format: 'int-or-string',
      'x-kubernetes-int-or-string': true,
    },
    [patchBody]: { type: 'object', description: 'A patch, in the form that the content type says.' },
    [watchEvent]: {
      ...object('One event of a watch.', {
        type: text('ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.'),
        object: { type: 'object', description: 'The object, or a Status for ERROR.' },
      }),
      required: ['type', 'object'],
      ...metaKind('WatchEvent'),
    },
  }
}

const deletionProperties: Schema = {
  ...typeMeta,
  dryRun: list('All: check, but do not delete.', { type: 'string' }),
  gracePeriodSeconds: whole('Taken, without effect: nothing here needs time to end.'),
  ignoreStoreReadErrorWithClusterBreakingPotential: flag('Taken, without effect: every stored object can be read.'),
  orphanDependents: flag('Older form of propagationPolicy.'),
  preconditions,
  propagationPolicy: text('Orphan, Background or Foreground: what becomes of the objects that this one owns.'),
}

const statusProperties: Schema = {
  ...typeMeta,
  code: { type: 'integer', format: 'int32', description: 'HTTP status code.' },
  details,
  message: text('Words for people.'),
  metadata: refWith(listMeta, 'Standard list metadata.'),
  reason: text('Machine-readable reason.'),
  status: text('Success or Failure.'),
}
