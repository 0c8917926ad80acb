// One issuer of JSON web tokens that a RequestAuthentication trusts: where its keys are, where tokens stand in a request, what
// becomes of them.
import { duration } from './duration.ts'
import { ignored, type ObjectCheck, type ObjectRule, type ValueCheck } from './field.ts'
import { headerName } from './http-headers.ts'
import { flag, text, texts } from './parts.ts'
import { notBlank } from './patterns.ts'
import { clip } from './rules.ts'
import { choice, group, groups } from './shapes.ts'

const keysUrl: ValueCheck<string> = (value) => {
  const example = 'an address such as https://issuer.example.com/keys'
  if (!URL.canParse(value)) return `"${clip(value)}" is not ${example}`
  const { protocol, username, password } = new URL(value)
  if (protocol !== 'http:' && protocol !== 'https:')
    return `"${clip(value)}" is neither http:// nor https://: write ${example}`
  // the address is shown to whoever may read the object
  return username === '' && password === '' ? undefined : 'holds a user name or password: write the address alone'
}

/** RFC 7517, as far as it can be told without using the keys. */
const keySet: ValueCheck<string> = (value) => {
  if (value === '') return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(value)
  } catch {
    return 'is not JSON: write the key set as {"keys": [...]}, in quotes'
  }
  const { keys } = (parsed ?? {}) as { readonly keys?: unknown }
  if (!Array.isArray(keys)) return 'has no list "keys": write the key set as {"keys": [...]}'
  const wrong = keys.findIndex((key: unknown) => typeof (key as { kty?: unknown } | null)?.kty !== 'string')
  return wrong < 0 ? undefined : `has no "kty" in key ${wrong}: each key names its type, such as "RSA" or "EC"`
}

const oneKeySet: ObjectRule = {
  message: 'only one of jwks or jwksUri can be set',
  check: (rule, report) => {
    const [first, second] = ['jwksUri', 'jwks_uri', 'jwks'].filter((name) => rule[name] !== undefined)
    if (second !== undefined) report([second], `cannot be combined with ${first}: remove one of them`)
  },
}

/** One word to remove once waypoints check tokens: until then requests without one would pass. */
const refuseRequired: ObjectCheck = (rule, report) => {
  if (rule['presence'] !== 'REQUIRED') return
  const why = 'needs a waypoint, which this version does not have: requests without a token would pass'
  const instead = 'ask for one with an AuthorizationPolicy (source.requestPrincipals: ["*"]), which fails closed'
  report(['presence'], `REQUIRED ${why}; ${instead}`, 'refused')
}

const keysAt = (what: string) => text(what, { minLength: 1, maxLength: 2048, check: keysUrl })

const claimHeader = group('One claim and its header.', {
  claim: text('Name of the claim, with dots for claims within claims.', { required: true, check: notBlank }),
  header: text('Name of the header.', { required: true, minLength: 1, pattern: '^[-_A-Za-z0-9]+$', check: headerName }),
})

export const jwtRule = group(
  'An issuer that is trusted.',
  {
    issuer: text('The issuer (claim "iss") of the tokens.', { required: true, check: notBlank }),
    audiences: texts('Audiences (claim "aud") of which a token must have one; any where absent.', notBlank),
    jwksUri: keysAt('Where the keys of the issuer are; found through the issuer where absent.'),
    jwks_uri: keysAt('Older form of jwksUri.'),
    jwks: text('The keys of the issuer themselves, as JSON.', { check: keySet }),
    fromHeaders: groups(
      'Headers that hold the token; Authorization with "Bearer " where no place is given.',
      group('One header.', {
        name: text('Name of the header.', { required: true, minLength: 1, check: headerName }),
        prefix: text('What stands before the token.'),
      }),
    ),
    fromParams: texts('Query parameters that hold the token.', notBlank),
    fromCookies: texts('Cookies that hold the token.', notBlank),
    presence: {
      ...choice('Whether a request must have a token; OPTIONAL where absent.', ['OPTIONAL', 'REQUIRED']),
    },
    forwardOriginalToken: flag('Whether the application gets the token too.'),
    outputPayloadToHeader: text('Header that gets the claims of the token, base64url of their JSON.', {
      check: (value: string) => (value === '' ? undefined : headerName(value)),
    }),
    outputClaimToHeaders: groups('Headers that get single claims.', claimHeader),
    spaceDelimitedClaims: texts('Claims that are lists in one text, divided by spaces.', notBlank, { maxItems: 64 }),
    timeout: duration('How long fetching the keys may take; 5s where absent.'),
  },
  { rules: [oneKeySet], checks: [refuseRequired] },
)

/** Said of the whole list: a token is nothing that layer 4 could see. */
export const tokensUnchecked = ignored(
  'no token is checked: this needs a waypoint, which this version does not have. Policies that ask for a token fail closed',
)
