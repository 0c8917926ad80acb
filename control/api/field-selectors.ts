// Field selectors (`--field-selector status.phase=Running`): which fields each kind may be selected by, as Kubernetes has them, and
// text to a predicate. selectors.ts joins it with the label selectors.
import { isObject } from '../../core/model/field-check.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { ApiError } from './errors.ts'

type Reader = (object: MeshObject) => string

const everyKind: Readonly<Record<string, Reader>> = {
  'metadata.name': (object) => object.metadata.name,
  'metadata.namespace': (object) => object.metadata.namespace ?? '',
}

const involved = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']

/** By `Kind.group`. `a|b` reads the first that is set. */
const fieldsOfKinds: Readonly<Record<string, readonly string[]>> = {
  Namespace: ['status.phase'],
  Node: ['spec.unschedulable'],
  Pod: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  Secret: ['type'],
  Service: ['spec.clusterIP', 'spec.type'],
  Event: [...involved.map((name) => `involvedObject.${name}`), 'reason', 'reportingComponent', 'source', 'type'],
  'Event.events.k8s.io': [...involved.map((name) => `regarding.${name}`), 'reason', 'reportingController', 'type'],
}

/** Where the value of a selectable field stands, when it is not at its own path. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  source: ['source.component', 'reportingComponent'],
  // one Event, seen in two groups
  reportingController: ['reportingController', 'reportingComponent', 'source.component'],
  reportingComponent: ['reportingComponent', 'reportingController', 'source.component'],
  ...Object.fromEntries(
    involved.flatMap((name) => [
      [`regarding.${name}`, [`regarding.${name}`, `involvedObject.${name}`]],
      [`involvedObject.${name}`, [`involvedObject.${name}`, `regarding.${name}`]],
    ]),
  ),
}

function selectableFields(kind: Kind): Readonly<Record<string, Reader>> {
  const fields = fieldsOfKinds[kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`] ?? []
  return { ...everyKind, ...Object.fromEntries(fields.map((field) => [field, readerOf(elsewhere[field] ?? [field])])) }
}

function readerOf(paths: readonly string[]): Reader {
  const split = paths.map((path) => path.split('.'))
  return (object) => {
    for (const path of split) {
      const value = path.reduce<unknown>((inner, part) => (isObject(inner) ? inner[part] : undefined), object)
      if (value !== undefined && value !== null && value !== '') return String(value)
    }
    return ''
  }
}

/** `metadata.name=x,status.phase!=Running`; `\,`, `\=` and `\\` stand for themselves. Throws BadRequest. */
export function parseFieldSelector(text: string, kind: Kind): (object: MeshObject) => boolean {
  if (text.trim() === '') return () => true
  const known = selectableFields(kind)
  const terms = (text.match(/(?:[^\\,]|\\.)+/gs) ?? []).map((term) => {
    const match = /^\s*([^\s!=]+?)\s*(==|=|!=)\s*((?:[^\\=]|\\[\\,=])*?)\s*$/.exec(term)
    if (match === null) throw new ApiError('BadRequest', `invalid field selector: '${term.trim()}'`)
    const [, field, operator, written] = match as unknown as [string, string, string, string]
    const read = Object.hasOwn(known, field) ? known[field] : undefined
    if (read === undefined) {
      const supported = Object.keys(known).join(', ')
      const message = `field label not supported: "${field}"; supported fields of ${kind.kind}: ${supported}`
      throw new ApiError('BadRequest', message)
    }
    const value = written.replace(/\\([\\,=])/g, '$1')
    return (object: MeshObject) => (read(object) === value) === (operator !== '!=')
  })
  return (object) => terms.every((term) => term(object))
}
