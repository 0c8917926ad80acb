// The attributes that `when` conditions of an AuthorizationPolicy may name, the layer that knows them, and their values.

import { didYouMean } from '../suggest.ts'
import type { ObjectCheck, ValueCheck } from './field.ts'
import { identityPattern, notBlank, serviceAccountName, stringPattern } from './patterns.ts'
import { addressBlock, clip, portText } from './rules.ts'

export interface ConditionAttribute {
  readonly layer: 4 | 7
  readonly check: ValueCheck<string>
}

const attributes: Readonly<Record<string, ConditionAttribute>> = {
  'source.ip': { layer: 4, check: addressBlock },
  'source.namespace': { layer: 4, check: stringPattern },
  'source.principal': { layer: 4, check: identityPattern },
  'source.serviceAccount': { layer: 4, check: serviceAccountName },
  'destination.ip': { layer: 4, check: addressBlock },
  'destination.port': { layer: 4, check: portText },
  'connection.sni': { layer: 7, check: notBlank },
  'remote.ip': { layer: 7, check: addressBlock },
  'request.auth.principal': { layer: 7, check: notBlank },
  'request.auth.audiences': { layer: 7, check: notBlank },
  'request.auth.presenter': { layer: 7, check: notBlank },
}

const patterns: readonly RegExp[] = [
  /^request\.headers\[[^[\]]+\]$/,
  /^request\.auth\.claims(\[[^[\]]+\])+$/,
  /^experimental\.envoy\.filters\.[^[\]]+\[[^[\]]+\]$/,
]

/** The attribute of that name; undefined where there is none. */
export function conditionAttribute(key: string): ConditionAttribute | undefined {
  if (Object.hasOwn(attributes, key)) return attributes[key]
  return patterns.some((pattern) => pattern.test(key)) ? { layer: 7, check: notBlank } : undefined
}

export function conditionKey(key: string): string | undefined {
  if (conditionAttribute(key) !== undefined) return undefined
  return `"${clip(key)}" is not a condition attribute${didYouMean(key, Object.keys(attributes))}`
}

/** One of values and notValues, each fitting the attribute. */
export const conditionValues: ObjectCheck = (condition, report) => {
  const attribute = conditionAttribute(String(condition['key']))
  if (attribute === undefined) return
  const lists = ['values', 'notValues'].filter((name) => condition[name] !== undefined)
  if (lists.length === 0) report([], 'needs values or notValues', 'required')
  for (const name of lists) {
    for (const [index, value] of (condition[name] as readonly string[]).entries()) {
      const wrong = attribute.check(value)
      if (wrong !== undefined) report([name, index], wrong)
    }
  }
}
