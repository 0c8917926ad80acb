// The HTTP rules of a VirtualService: match, then route, redirect, answer or delegate.
import { destination, percentage, weight, weightsCount } from './destination.ts'
import { duration } from './duration.ts'
import { asWhole, type ObjectCheck, type ObjectField } from './field.ts'
import { headerChanges } from './http-headers.ts'
import { text, whole } from './parts.ts'
import { dnsLabel, dnsSubdomain } from './rules.ts'
import { corsPolicy, directResponse, fault, redirect, retries, rewrite } from './virtual-service-actions.ts'
import { httpMatch } from './virtual-service-match.ts'

const delegate = {
  type: 'object',
  text: 'A VirtualService without hosts, whose rules stand here.',
  use: asWhole,
  fields: {
    name: text('Name of the VirtualService.', { check: dnsSubdomain }),
    namespace: text('Its namespace; this one where absent.', {
      check: (value: string) => (value === '' ? undefined : dnsLabel(value)),
    }),
  },
  checks: [
    (value, report) => {
      if (value['name'] === undefined) report(['name'], 'is required', 'required')
    },
  ],
} as const satisfies ObjectField

function has(rule: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = rule[name]
  return Array.isArray(value) ? value.length > 0 : value !== undefined
}

/** Istio's rules: what ends a request stands alone, and something must. */
const oneEnd: ObjectCheck = (rule, report) => {
  const [end, ...others] = ['delegate', 'redirect', 'directResponse', 'route'].filter((name) => has(rule, name))
  if (end === undefined) {
    report([], 'leads nowhere: set one of route, redirect, directResponse, delegate', 'required')
  }
  for (const other of others) report([other], `cannot be combined with ${end}`)
  if (end !== 'redirect' && end !== 'directResponse') return
  for (const name of ['fault', 'rewrite']) if (has(rule, name)) report([name], `cannot be combined with ${end}`)
}

const mirrorsFit: ObjectCheck = (rule, report) => {
  if (has(rule, 'mirror') && has(rule, 'mirrors')) {
    report(['mirror'], 'cannot be combined with mirrors: move it into the list')
  }
  if (rule['mirrorPercent'] !== undefined && rule['mirror_percent'] !== undefined) {
    report(['mirror_percent'], 'is another spelling of mirrorPercent: keep one of them')
  }
}

interface Headers {
  readonly request?: { readonly set?: Readonly<Record<string, string>> }
}

/** The host can be changed at one place only. */
const hostChangedOnce: ObjectCheck = (rule, report) => {
  const { authority = '' } = (rule['rewrite'] ?? {}) as { readonly authority?: string }
  const { set = {} } = (rule['headers'] as Headers | undefined)?.request ?? {}
  const name = Object.keys(set).find((key) => key.toLowerCase() === 'host')
  if (authority !== '' && name !== undefined) {
    report(['headers', 'request', 'set', name], 'cannot be combined with rewrite.authority, which sets it too')
  }
}

const olderPercent = 'Older form of mirrorPercentage, without fractions.'

export const httpRule = {
  type: 'object',
  text: 'What matches is handled as the rule says; the first rule that matches counts.',
  use: asWhole,
  checks: [oneEnd, mirrorsFit, hostChangedOnce, weightsCount],
  fields: {
    name: text('Name of the rule, for logs.'),
    match: {
      type: 'list',
      text: 'Matches, of which one is enough; everything where absent.',
      use: asWhole,
      item: httpMatch,
    },
    route: {
      type: 'list',
      text: 'Where requests go, with weights.',
      use: asWhole,
      item: {
        type: 'object',
        text: 'One destination.',
        use: asWhole,
        fields: { destination: { ...destination, required: true }, weight, headers: headerChanges },
      },
    },
    redirect,
    directResponse,
    delegate,
    rewrite,
    timeout: duration('Timeout of a request with its retries; none where absent.'),
    retries,
    fault,
    mirror: { ...destination, text: 'Gets a copy of the requests; its answers are dropped.' },
    mirrors: {
      type: 'list',
      text: 'Several that get a copy.',
      use: asWhole,
      item: {
        type: 'object',
        text: 'One that gets a copy.',
        use: asWhole,
        fields: { destination: { ...destination, required: true }, percentage },
      },
    },
    mirrorPercentage: { ...percentage, text: 'Share of the requests that mirror gets; all where absent.' },
    mirrorPercent: whole(olderPercent, 0, 100),
    mirror_percent: whole(olderPercent, 0, 100),
    corsPolicy,
    headers: headerChanges,
  },
} as const satisfies ObjectField
