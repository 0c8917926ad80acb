// Label selectors of list, watch and delete, joined with field selectors: text to a predicate. Throws ApiError BadRequest for
// what it cannot read.

import { labelValue, qualifiedName } from '../../core/model/fields/rules.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { ApiError } from './errors.ts'
import { parseFieldSelector } from './field-selectors.ts'

export type Predicate = (object: MeshObject) => boolean

export const everything: Predicate = () => true

/** Objects that fit both selectors; absent or empty ones fit everything. */
export function parseSelectors(labels: string, fields: string, kind: Kind): Predicate {
  const byLabel = parseLabelSelector(labels)
  if (fields.trim() === '') return byLabel
  const byField = parseFieldSelector(fields, kind)
  return (object) => byLabel(object) && byField(object)
}

type Requirement = (labels: Readonly<Record<string, string>>) => boolean

/** `a=b,c!=d,e in (x,y),f notin (z),g,!h` (Kubernetes label selector syntax). */
export function parseLabelSelector(text: string): Predicate {
  if (text.trim() === '') return everything
  const requirements = splitOutsideParentheses(text).map(parseRequirement)
  return (object) => requirements.every((requirement) => requirement(object.metadata.labels ?? {}))
}

/** The commas inside `in (…)` do not separate requirements. */
function splitOutsideParentheses(text: string): readonly string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '(') depth += 1
    else if (text[index] === ')') depth -= 1
    else if (text[index] === ',' && depth === 0) {
      parts.push(text.slice(start, index))
      start = index + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

const setPattern = /^\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)\s*$/
const equalityPattern = /^\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*$/
const existsPattern = /^\s*(!?)\s*([^\s!=,()]+)\s*$/

function parseRequirement(text: string): Requirement {
  const set = setPattern.exec(text)
  if (set !== null) {
    const values = new Set(set[3]!.split(',').map((value) => checkedValue(value.trim(), text)))
    const key = checkedKey(set[1]!, text)
    return set[2] === 'in'
      ? (labels) => Object.hasOwn(labels, key) && values.has(labels[key]!)
      : (labels) => !Object.hasOwn(labels, key) || !values.has(labels[key]!)
  }
  const equality = equalityPattern.exec(text)
  if (equality !== null) {
    const key = checkedKey(equality[1]!, text)
    const value = checkedValue(equality[3]!, text)
    const equal: Requirement = (labels) => Object.hasOwn(labels, key) && labels[key] === value
    return equality[2] === '!=' ? (labels) => !equal(labels) : equal
  }
  const exists = existsPattern.exec(text)
  if (exists === null) throw unreadable(text)
  const key = checkedKey(exists[2]!, text)
  return exists[1] === '!' ? (labels) => !Object.hasOwn(labels, key) : (labels) => Object.hasOwn(labels, key)
}

function checkedKey(key: string, text: string): string {
  if (qualifiedName(key) !== undefined) throw unreadable(text)
  return key
}

function checkedValue(value: string, text: string): string {
  if (labelValue(value) !== undefined) throw unreadable(text)
  return value
}

function unreadable(text: string): ApiError {
  return new ApiError('BadRequest', `unable to parse the label selector requirement "${text.trim()}"`)
}
