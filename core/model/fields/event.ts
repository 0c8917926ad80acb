// Event (core v1): what happened to an object, told once or counted. Kept until somebody deletes it.
import { objectReference, part, time } from './core-parts.ts'
import { enforced, type FieldTable, type ObjectCheck } from './field.ts'
import { int32, text, whole } from './parts.ts'
import { maxLength, qualifiedName } from './rules.ts'

const kept = enforced('api: kept for its readers')
const count = whole('How often it happened.', 0, int32)

interface EventLike {
  readonly metadata?: { readonly namespace?: string }
  readonly involvedObject?: { readonly namespace?: string }
  readonly eventTime?: string
}

/** Kubernetes' rule: an event stands beside its object; those of cluster-scoped objects stand in `default`. */
const besideItsObject: ObjectCheck = (event, report) => {
  const { metadata, involvedObject } = event as EventLike
  const namespace = metadata?.namespace ?? ''
  const involved = involvedObject?.namespace ?? ''
  if (namespace === '' || involved === namespace) return
  if (involved === '' && ['default', 'kube-system'].includes(namespace)) return
  const why = involved === '' ? 'belongs to no namespace: its events stand in "default"' : `stands in "${involved}"`
  report(['involvedObject', 'namespace'], `does not fit the event's namespace "${namespace}": the object ${why}`)
}

/** Events of the newer kind, told by eventTime, say who reports them. */
const reporterIsNamed: ObjectCheck = (event, report) => {
  if (event['eventTime'] === undefined) return
  for (const name of ['reportingComponent', 'reportingInstance', 'action', 'reason']) {
    if (((event[name] as string | undefined) ?? '') === '')
      report([name], 'is required in an event with eventTime', 'required')
  }
}

/** Over the whole object. */
export const eventChecks = [besideItsObject, reporterIsNamed]

export const eventBody = {
  involvedObject: { ...objectReference('What it happened to.'), use: kept, required: true },
  related: { ...objectReference('What else takes part.'), use: kept },
  type: text('Normal or Warning.', { use: kept }),
  reason: text('Why, in one word.', { use: kept, check: maxLength(128) }),
  message: text('Why, for people.', { use: kept, check: maxLength(1024) }),
  action: text('What was done.', { use: kept, check: maxLength(128) }),
  reportingComponent: text('Controller that reports it.', {
    use: kept,
    default: '',
    check: (value: string) => (value === '' ? undefined : qualifiedName(value)),
  }),
  reportingInstance: text('Instance of the controller.', { use: kept, default: '', check: maxLength(128) }),
  count: { ...count, use: kept },
  firstTimestamp: { ...time('When it happened first.'), use: kept },
  lastTimestamp: { ...time('When it happened last.'), use: kept },
  eventTime: { ...time('When it was seen first.'), use: kept },
  series: {
    ...part('How it went on.', { count, lastObservedTime: time('When it was seen last.') }),
    use: kept,
  },
  source: {
    ...part('Who reports it.', { component: text('Part of the system.'), host: text('Host of it.') }),
    use: kept,
  },
} as const satisfies FieldTable

/** When it happened last, whichever way the reporter counts. */
export function lastSeen(event: Readonly<Record<string, unknown>>): unknown {
  const series = event['series'] as { readonly lastObservedTime?: string } | undefined
  return series?.lastObservedTime ?? event['lastTimestamp'] ?? event['eventTime'] ?? event['firstTimestamp']
}
