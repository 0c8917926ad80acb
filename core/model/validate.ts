// Validates one resource against the field table of its kind. The manifest parser, the API server and the agent's reports pass
// here once; everything behind trusts the object.
import { Check, describe, isObject } from './field-check.ts'
import type { FieldTable, Path } from './fields/field.ts'
import { metadataField } from './fields/metadata.ts'
import { clip } from './fields/rules.ts'
import type { Kind } from './kinds/kind.ts'
import { kindOf, splitApiVersion, unknownKind } from './kinds.ts'
import { type Problem, problemAt } from './problem.ts'
import { didYouMean } from './suggest.ts'

/** What is wrong with the resource; empty where it is valid. Never throws, whatever it is given. */
export function validateObject(object: unknown): readonly Problem[] {
  if (!isObject(object)) return [problemAt([], `must be an object, found ${describe(object)}`, 'type')]
  const envelope = ['apiVersion', 'kind'].flatMap((name) => requiredText(object, name))
  if (envelope.length > 0) return envelope
  const apiVersion = object['apiVersion'] as string
  const kindName = object['kind'] as string
  const kind = kindOf(apiVersion, kindName)
  if (kind === undefined) return [problemAt(['kind'], unknownKind(clip(apiVersion), clip(kindName)), 'unsupported')]
  return validateKind(object, kind, splitApiVersion(apiVersion).version)
}

function requiredText(object: Readonly<Record<string, unknown>>, name: string): readonly Problem[] {
  const value = object[name]
  if (value === undefined || value === null || value === '') return [problemAt([name], 'is required', 'required')]
  return typeof value === 'string' ? [] : [problemAt([name], `must be a string, found ${describe(value)}`, 'type')]
}

function validateKind(object: Readonly<Record<string, unknown>>, kind: Kind, version: string): readonly Problem[] {
  const check = new Check({ version, nulls: kind.nulls })
  const status = kind.hasNoStatus === true ? [] : ['status']
  const topLevel = ['apiVersion', 'kind', 'metadata', ...Object.keys(kind.body), ...status]
  for (const name of Object.keys(object)) {
    if (!topLevel.includes(name)) {
      check.report([name], `unknown field "${clip(name)}"${didYouMean(name, topLevel)}`, 'unknown')
    }
  }
  const metadata = new Check({ version, nulls: 'absent' })
  checkMetadata(object['metadata'], kind, metadata)
  for (const [name, field] of Object.entries(kind.body)) {
    const value = object[name]
    if (value !== undefined && value !== null) check.field(value, field, [name])
    else if (field.required === true) check.report([name], 'is required', 'required')
    // a Service without spec would have no port: the rules between fields see an empty one
    else if (field.type === 'object' && (field.checks ?? field.rules) !== undefined) check.field({}, field, [name])
  }
  if (metadata.problems.length + check.problems.length === 0) checkWhole(object, kind, check)
  return [...metadata.problems, ...check.problems]
}

function checkWhole(object: Readonly<Record<string, unknown>>, { checks = [] }: Kind, check: Check): void {
  const present = Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null))
  for (const whole of checks) whole(present, (path, message, reason) => check.report(path, message, reason))
}

function checkMetadata(metadata: unknown, kind: Kind, check: Check): void {
  const at: Path = ['metadata']
  if (metadata === undefined || metadata === null) {
    check.report(at, 'is required', 'required')
    return
  }
  // written by Kubernetes servers only, and large: neither checked nor kept
  const known = isObject(metadata) ? withoutKey(metadata, 'managedFields') : metadata
  check.field(known, metadataField, at)
  if (!isObject(metadata)) return
  checkName(metadata, kind, check)
  const namespace = metadata['namespace']
  if (typeof namespace !== 'string' || namespace === '') return
  if (!kind.namespaced) check.report([...at, 'namespace'], `is not allowed: ${kind.kind} is not namespaced`)
  else checkText(namespace, namespaceName, [...at, 'namespace'], check)
}

function checkName(metadata: Readonly<Record<string, unknown>>, kind: Kind, check: Check): void {
  const { name, generateName } = metadata
  if (typeof name === 'string' && name !== '') checkText(name, kind.name, ['metadata', 'name'], check)
  else if (typeof generateName === 'string' && generateName !== '') {
    // the server appends letters and digits: the prefix may end with what a name may not
    checkText(generateName, (value) => kind.name(`${value}x`), ['metadata', 'generateName'], check)
  } else if (name === undefined || name === null || name === '') {
    check.report(['metadata', 'name'], 'is required', 'required')
  }
}

const namespaceName: Kind['name'] = (value) => kindOf('v1', 'Namespace')!.name(value)

function checkText(value: string, rule: Kind['name'], at: Path, check: Check): void {
  const wrong = rule(value)
  if (wrong !== undefined) check.report(at, wrong)
}

function withoutKey(object: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const { [key]: _, ...rest } = object
  return rest
}

/** The tables of what an object of this kind may hold, for documentation and conditions. */
export function tablesOf(kind: Kind): FieldTable {
  return { metadata: metadataField, ...kind.body }
}
