// RequestAuthentication (security.istio.io): which JSON web tokens are believed. Checking them needs layer 7.
import { asWhole, type ObjectField, type ValueOf } from './field.ts'
import { jwtRule, tokensUnchecked } from './jwt-rule.ts'
import { policyTargetRef, policyTargetRefs } from './policy-target.ts'
import { selectorAsWhole, selectorOrTargets } from './selector.ts'
import { groups } from './shapes.ts'

export const requestAuthenticationSpec = {
  type: 'object',
  text: 'Which tokens of requests are believed; a wrong one is refused.',
  use: asWhole,
  rules: [selectorOrTargets],
  fields: {
    selector: selectorAsWhole,
    targetRef: policyTargetRef,
    targetRefs: policyTargetRefs,
    jwtRules: groups('The issuers; a token must be of one of them.', jwtRule, { maxItems: 4096, use: tokensUnchecked }),
  },
} as const satisfies ObjectField

export type RequestAuthenticationSpec = ValueOf<typeof requestAuthenticationSpec>
