// The metadata of every kind. Names and labels are checked here; what only the API server may set is ignored on input.
import { destinationAnnotationsWithoutEffect } from '../destination-annotations.ts'
import { labelsWithoutEffect } from '../enrolment.ts'
import { waypointAnnotationsWithoutEffect } from '../waypoint-labels.ts'
import { asWhole, enforced, type ObjectCheck, type ObjectField } from './field.ts'
import { annotationKey, labelValue, qualifiedName } from './rules.ts'

const serverSet = enforced('api: set by the server, a value from outside is overwritten')
const anyText = { type: 'string', text: 'Any text.', use: asWhole } as const

/** The sum over keys and values, as in Kubernetes. */
const maxAnnotationBytes = 256 * 1024

const annotationSize: ObjectCheck = (metadata, report) => {
  const annotations = metadata['annotations'] as Readonly<Record<string, string>> | undefined
  if (annotations === undefined) return
  const size = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  if (size > maxAnnotationBytes)
    report(['annotations'], `hold ${size} characters, at most ${maxAnnotationBytes} are allowed`)
}

function annotationsWithoutEffect(annotations: unknown): string | undefined {
  const written = annotations as Readonly<Record<string, string>>
  const texts = [...waypointAnnotationsWithoutEffect(written), ...destinationAnnotationsWithoutEffect(written)]
  return texts.length === 0 ? undefined : texts.join('; ')
}

export const metadataField = {
  type: 'object',
  text: 'Name, labels and bookkeeping of the object.',
  use: enforced('api'),
  required: true,
  checks: [annotationSize],
  fields: {
    name: { type: 'string', text: 'Unique per kind and namespace.', use: enforced('api') },
    generateName: { type: 'string', text: 'Prefix of a name that the server completes.', use: enforced('api') },
    namespace: { type: 'string', text: 'Namespace of the object.', use: enforced('api') },
    labels: {
      type: 'map',
      text: 'Labels for selectors, enrolment and opt-out.',
      use: enforced('api and compile', labelsWithoutEffect),
      key: qualifiedName,
      value: { type: 'string', text: 'A label value.', use: asWhole, check: labelValue },
    },
    annotations: {
      type: 'map',
      text: 'Free notes, and what culvert.dev/ and istio.io/ annotations ask for.',
      use: enforced('api and compile', annotationsWithoutEffect),
      key: annotationKey,
      value: anyText,
    },
    uid: { type: 'string', text: 'Unique for one life of the object.', use: serverSet },
    resourceVersion: {
      type: 'string',
      text: 'Revision of the last write; makes an update conditional.',
      use: serverSet,
    },
    generation: {
      type: 'integer',
      text: 'Grows with every change of spec.',
      use: serverSet,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    },
    creationTimestamp: { type: 'string', text: 'When the object was created, RFC 3339.', use: serverSet },
    deletionTimestamp: {
      type: 'string',
      text: 'When the deletion was asked for; the object stays until its finalizers are gone.',
      use: serverSet,
    },
    deletionGracePeriodSeconds: {
      type: 'integer',
      text: 'Always 0: nothing here needs time to end.',
      use: serverSet,
      min: 0,
      max: Number.MAX_SAFE_INTEGER,
    },
    selfLink: { type: 'string', text: 'Withdrawn by Kubernetes.', use: serverSet },
    finalizers: {
      type: 'list',
      text: 'Names of controllers that must act before a deletion.',
      use: enforced('api: a deleted object stays until they are gone'),
      item: anyText,
      listType: 'set',
      patch: { strategy: 'merge' },
    },
    ownerReferences: {
      type: 'list',
      text: 'Objects that this one belongs to.',
      use: enforced('garbage collector: the object goes when its last owner is gone'),
      listType: 'map',
      mapKeys: ['uid'],
      patch: { strategy: 'merge', mergeKey: 'uid' },
      item: {
        type: 'object',
        text: 'One owner.',
        use: asWhole,
        atomic: true,
        fields: {
          apiVersion: { ...anyText, required: true },
          kind: { ...anyText, required: true },
          name: { ...anyText, required: true },
          uid: { ...anyText, required: true },
          controller: { type: 'boolean', text: 'Whether it is the managing controller.', use: asWhole },
          blockOwnerDeletion: { type: 'boolean', text: 'Whether it waits for this object.', use: asWhole },
        },
      },
    },
  },
} as const satisfies ObjectField
