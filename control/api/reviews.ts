// The questions that a client may ask about itself: who am I, what may I do (`kubectl auth whoami`, `kubectl auth can-i`). They are
// posted like resources and answered at once; nothing is stored. The handler calls `answerReview` before it looks for a resource.
import { isObject } from '../../core/model/field-check.ts'
import { ApiError } from './errors.ts'
import type { ApiAnswer, ApiRequest, Caller } from './request.ts'

export interface ReviewResource {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
}

const authorization = { group: 'authorization.k8s.io', version: 'v1' }
const authentication = { group: 'authentication.k8s.io', version: 'v1' }

export const reviewResources: readonly ReviewResource[] = [
  { ...authorization, plural: 'selfsubjectaccessreviews', kind: 'SelfSubjectAccessReview' },
  { ...authorization, plural: 'selfsubjectrulesreviews', kind: 'SelfSubjectRulesReview' },
  { ...authentication, plural: 'selfsubjectreviews', kind: 'SelfSubjectReview' },
]

/** The review that a path addresses. */
export function reviewOf(path: string): ReviewResource | undefined {
  return reviewResources.find(({ group, version, plural }) => path === `/apis/${group}/${version}/${plural}`)
}

/** Throws MethodNotAllowed for anything but POST. */
export async function answerReview(review: ReviewResource, method: string, request: ApiRequest): Promise<ApiAnswer> {
  if (method !== 'POST') throw new ApiError('MethodNotAllowed', `the server does not allow ${method} on reviews`)
  const body = await request.body()
  const input = isObject(body) ? body : {}
  const spec = isObject(input['spec']) ? input['spec'] : {}
  const { group, version, kind } = review
  const head = { kind, apiVersion: `${group}/${version}`, metadata: { creationTimestamp: null } }
  return { status: 201, body: { ...head, ...answers[kind]!(request.caller, spec) } }
}

const readVerbs = ['get', 'list', 'watch']

type Spec = Readonly<Record<string, unknown>>

const answers: Readonly<Record<string, (caller: Caller, spec: Spec) => object>> = {
  SelfSubjectReview: ({ name, groups }) => ({ status: { userInfo: { username: name, groups } } }),
  SelfSubjectAccessReview: (caller, spec) => ({ spec, status: accessOf(caller, spec) }),
  SelfSubjectRulesReview: (caller, spec) => {
    const verbs = caller.readOnly === true ? readVerbs : ['*']
    return {
      spec,
      status: {
        resourceRules: [{ verbs, apiGroups: ['*'], resources: ['*'] }],
        nonResourceRules: [{ verbs: caller.readOnly === true ? ['get'] : ['*'], nonResourceURLs: ['*'] }],
        incomplete: false,
      },
    }
  },
}

/** A caller may do everything, or read everything (DESIGN section 2). */
function accessOf(caller: Caller, spec: Spec): object {
  const asked = spec['resourceAttributes'] ?? spec['nonResourceAttributes']
  if (!isObject(asked)) {
    const message = 'spec must have resourceAttributes or nonResourceAttributes'
    throw new ApiError('Invalid', `SelfSubjectAccessReview.authorization.k8s.io "" is invalid: ${message}`)
  }
  if (caller.readOnly !== true) return { allowed: true, reason: `"${caller.name}" may do everything` }
  const allowed = readVerbs.includes(String(asked['verb']))
  return { allowed, reason: `"${caller.name}" may read only` }
}
