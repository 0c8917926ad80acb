// Telemetry: the rules of istiod's admission, and what is said of its three parts.
import t from 'tap'
import { parse } from 'yaml'
import { ignoredFields } from '../../../../core/model/ignored.ts'
import { formatProblem } from '../../../../core/model/problem.ts'
import type { MeshObject } from '../../../../core/model/resource.ts'
import { validateObject } from '../../../../core/model/validate.ts'

const telemetry = (spec: string) => ({
  apiVersion: 'telemetry.istio.io/v1',
  kind: 'Telemetry',
  metadata: { name: 't', namespace: 'shop' },
  spec: parse(spec),
})
const override = (text: string) => telemetry(`{metrics: [{overrides: [${text}]}]}`)
const tag = (text: string) => override(`{tagOverrides: {team: ${text}}}`)
const spanTag = (text: string) => telemetry(`{tracing: [{customTags: {team: ${text}}}]}`)
const problemsOf = (object: object) => validateObject(object).map(formatProblem)

const valid: Readonly<Record<string, object>> = {
  nothing: telemetry('{}'),
  sampling: telemetry('{tracing: [{providers: [{name: otel}], randomSamplingPercentage: 0.5}]}'),
  'nulls that clients write': telemetry('{tracing: [{disableSpanReporting: null, randomSamplingPercentage: null}]}'),
  'a metric left out': override('{match: {metric: REQUEST_COUNT, mode: CLIENT}, disabled: true}'),
  'a tag that is set': tag('{value: "request.host"}'),
  'a tag that is removed': tag('{operation: REMOVE}'),
  'a tag of a span': spanTag('{header: {name: x-team, defaultValue: none}}'),
  'a filter of the log': telemetry('{accessLogging: [{filter: {expression: "response.code >= 400"}}]}'),
}

for (const [name, object] of Object.entries(valid)) {
  t.test(`${name} is accepted`, (t) => {
    t.strictSame(problemsOf(object), [])
    t.end()
  })
}

const invalid: readonly (readonly [name: string, object: object, problem: RegExp])[] = [
  ['a provider without name', telemetry('{tracing: [{providers: [{}]}]}'), /providers\[0\]\.name: is required/],
  ['a share above all', telemetry('{tracing: [{randomSamplingPercentage: 101}]}'), /101 is out of range: 0 to 100/],
  ['a tag without value', tag('{}'), /tagOverrides\.team\.value: is required to set the tag/],
  ['a tag set to nothing', tag('{operation: UPSERT, value: ""}'), /value: is required to set the tag/],
  ['a value to remove', tag('{operation: REMOVE, value: a}'), /value: cannot be combined with operation REMOVE/],
  [
    'two metrics at once',
    override('{match: {metric: REQUEST_COUNT, customMetric: a}}'),
    /cannot be combined with metric/,
  ],
  ['an unknown metric', override('{match: {metric: REQUESTS}}'), /"REQUESTS" is not one of/],
  ['a span tag without value', spanTag('{}'), /has no value: set one of literal/],
  ['a span tag with two', spanTag('{literal: {value: a}, header: {name: b}}'), /cannot be combined with literal/],
  ['a variable that is none', spanTag('{environment: {name: "A=B"}}'), /is not the name of an environment variable/],
  ['an empty filter', telemetry('{accessLogging: [{filter: {expression: " "}}]}'), /expression: is empty/],
  ['an interval of nothing', telemetry('{metrics: [{reportingInterval: 0s}]}'), /less than 1ms/],
  ['a selector and a target', telemetry('{selector: {}, targetRef: {kind: Service, name: a}}'), /targetRef: cannot be/],
]

for (const [name, object, problem] of invalid) {
  t.test(`${name} is refused`, (t) => {
    const found = problemsOf(object)
    t.ok(
      found.some((text) => problem.test(text)),
      found.join('\n'),
    )
    t.end()
  })
}

t.test('each of the three parts says that it has no effect', (t) => {
  const object = telemetry('{selector: {matchLabels: {app: a}}, metrics: [{}], tracing: [{}], accessLogging: [{}]}')
  t.strictSame(
    ignoredFields(object as MeshObject).map(({ path }) => path),
    ['spec.metrics', 'spec.tracing', 'spec.accessLogging'],
  )
  t.end()
})
