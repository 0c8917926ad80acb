// How `culvert describe` shows one object: who it is, what it says, what the mesh says about it, and what happened to it. Pure.
import { stringify } from 'yaml'
import type { Condition, MeshObject } from '../core/model/resource.ts'
import { lastAppliedAnnotation } from './merge.ts'
import { age, type Paint, table } from './render.ts'

/** What of a core/v1 Event is shown. */
export interface EventView extends MeshObject {
  readonly type?: string
  readonly reason?: string
  readonly message?: string
  readonly count?: number
  readonly source?: { readonly component?: string }
  readonly reportingComponent?: string
  readonly firstTimestamp?: string | null
  readonly lastTimestamp?: string | null
  readonly eventTime?: string | null
}

/** What is known of an object besides itself. */
export interface Told {
  readonly conditions: readonly Condition[]
  readonly events: readonly EventView[]
}

/** @param now milliseconds since 1970 */
export function describeObject(object: MeshObject, { conditions, events }: Told, now: number, paint: Paint): string {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, status: _status, ...body } = object
  const { conditions: _, parents: __, ...status } = object.status ?? {}
  const shown = object.kind === 'Secret' ? hidden(body) : body
  return [
    head(object, now, paint),
    ...Object.entries(shown).map(([name, value]) => section(titleOf(name), yamlOf(value), paint)),
    ...(Object.keys(status).length === 0 ? [] : [section('Status', yamlOf(status), paint)]),
    ...(conditions.length === 0 ? [] : [section('Conditions', conditionTable(conditions, now), paint)]),
    ...(events.length === 0 ? [] : [section('Events', eventTable(events, now), paint)]),
  ].join('\n')
}

function head({ apiVersion, kind, metadata }: MeshObject, now: number, paint: Paint): string {
  const { creationTimestamp: created, deletionTimestamp: deleted } = metadata
  const owners = (metadata.ownerReferences ?? []).map((owner) => `${owner.kind} ${owner.name}`)
  const lines = [
    ['Name', metadata.name],
    ['Namespace', metadata.namespace ?? ''],
    ['Kind', `${kind} (${apiVersion})`],
    ['Created', created === undefined ? '' : `${created} (${age(now - Date.parse(created))} ago)`],
    ['Deleted', deleted === undefined ? '' : `${deleted} (waits for ${(metadata.finalizers ?? []).join(', ')})`],
    ['Owned by', owners.join(', ')],
    ['Labels', pairs(metadata.labels)],
    ['Annotations', pairs(metadata.annotations)],
  ].filter(([, value]) => value !== '')
  return lines.map(([key, value]) => `${paint('bold', `${key}:`.padEnd(13))}${value}`).join('\n')
}

/** A secret is not for screens: how long each value is. */
function hidden(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const sizes = (value: unknown, encoding: BufferEncoding): unknown =>
    Object.fromEntries(
      Object.entries((value ?? {}) as Readonly<Record<string, string>>).map(([key, text]) => [
        key,
        `${Buffer.from(String(text), encoding).length} bytes`,
      ]),
    )
  return {
    ...body,
    ...('data' in body ? { data: sizes(body['data'], 'base64') } : {}),
    ...('stringData' in body ? { stringData: sizes(body['stringData'], 'utf8') } : {}),
  }
}

function conditionTable(conditions: readonly Condition[], now: number): string {
  const rows = conditions.map(({ type, status, lastTransitionTime, reason, message }) => {
    const since = lastTransitionTime === undefined ? '-' : age(now - Date.parse(lastTransitionTime))
    return [type, status, since, reason, message === '' ? '-' : message]
  })
  return table(['TYPE', 'STATUS', 'SINCE', 'REASON', 'MESSAGE'], rows)
}

function eventTable(events: readonly EventView[], now: number): string {
  const rows = events
    .toSorted((a, b) => lastOf(a) - lastOf(b))
    .map((event) => [
      event.type ?? '',
      event.reason ?? '',
      eventAge(event, now),
      event.source?.component ?? event.reportingComponent ?? '',
      event.message ?? '',
    ])
  return table(['TYPE', 'REASON', 'AGE', 'FROM', 'MESSAGE'], rows)
}

function eventAge(event: EventView, now: number): string {
  const last = age(now - lastOf(event))
  const { count = 1, firstTimestamp } = event
  if (count < 2 || firstTimestamp === undefined || firstTimestamp === null) return last
  return `${last} (x${count} over ${age(now - Date.parse(firstTimestamp))})`
}

function lastOf({ lastTimestamp, eventTime, metadata }: EventView): number {
  return Date.parse(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '') || 0
}

function section(title: string, text: string, paint: Paint): string {
  const body = text.trimEnd().replaceAll(/^/gm, '  ')
  return `${paint('bold', `${title}:`)}\n${body}`
}

function yamlOf(value: unknown): string {
  return stringify(value)
}

function titleOf(field: string): string {
  return field.charAt(0).toUpperCase() + field.slice(1)
}

function pairs(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .filter(([key]) => key !== lastAppliedAnnotation)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n             ')
}
