// Secret (core v1): small values that only some may read.
import { base64, dataKey } from './core-parts.ts'
import { asWhole, enforced, type FieldTable, type ObjectCheck } from './field.ts'

const kept = enforced('api: kept for those who may read it')

/** The sum of all values (Kubernetes, MaxSecretSize). */
const maxBytes = 1024 * 1024

/** What each type of Secret must hold: all of the first, or one of the second. */
const needed: Readonly<Record<string, { readonly all?: readonly string[]; readonly some?: readonly string[] }>> = {
  'kubernetes.io/tls': { all: ['tls.crt', 'tls.key'] },
  'kubernetes.io/dockercfg': { all: ['.dockercfg'] },
  'kubernetes.io/dockerconfigjson': { all: ['.dockerconfigjson'] },
  'kubernetes.io/basic-auth': { some: ['username', 'password'] },
  'kubernetes.io/ssh-auth': { all: ['ssh-privatekey'] },
}

type Texts = Readonly<Record<string, string>>

const keysOfType: ObjectCheck = (secret, report) => {
  const type = (secret['type'] as string | undefined) ?? 'Opaque'
  const keys = [...Object.keys((secret['data'] as Texts) ?? {}), ...Object.keys((secret['stringData'] as Texts) ?? {})]
  const { all = [], some = [] } = Object.hasOwn(needed, type) ? needed[type]! : {}
  for (const key of all) {
    if (!keys.includes(key)) report(['data', key], `is required for type ${type}`, 'required')
  }
  if (some.length > 0 && !some.some((key) => keys.includes(key)))
    report(['data'], `needs ${some.join(' or ')} for type ${type}`, 'required')
}

const accountIsNamed: ObjectCheck = (secret, report) => {
  if (secret['type'] !== 'kubernetes.io/service-account-token') return
  const { annotations = {} } = (secret['metadata'] as { annotations?: Texts } | undefined) ?? {}
  const key = 'kubernetes.io/service-account.name'
  if ((annotations[key] ?? '') === '')
    report(['metadata', 'annotations', key], 'is required for type kubernetes.io/service-account-token', 'required')
}

const jsonKeys = ['.dockercfg', '.dockerconfigjson']

const dockerFilesAreJson: ObjectCheck = (secret, report) => {
  for (const key of jsonKeys) {
    const data = (secret['data'] as Texts | undefined)?.[key]
    const plain = (secret['stringData'] as Texts | undefined)?.[key]
    const content = plain ?? (data === undefined ? undefined : Buffer.from(data, 'base64').toString())
    if (content === undefined || !String(secret['type']).startsWith('kubernetes.io/docker')) continue
    try {
      JSON.parse(content)
    } catch {
      // never with the value in the message: it is secret
      report([plain === undefined ? 'data' : 'stringData', key], 'is not JSON')
    }
  }
}

const notTooLarge: ObjectCheck = (secret, report) => {
  const { data = {}, stringData = {} } = secret as { data?: Texts; stringData?: Texts }
  const encoded = Object.values(data).reduce((sum, value) => sum + Math.floor((value.length * 3) / 4), 0)
  const size = encoded + Object.values(stringData).reduce((sum, value) => sum + Buffer.byteLength(value), 0)
  if (size > maxBytes) report(['data'], `holds ${size} bytes, at most ${maxBytes} are allowed`)
}

/** Over the whole object. */
export const secretChecks = [keysOfType, accountIsNamed, dockerFilesAreJson, notTooLarge]

export const secretBody = {
  type: {
    type: 'string',
    text: 'What the keys mean; it cannot be changed.',
    use: kept,
    default: 'Opaque',
  },
  data: {
    type: 'map',
    text: 'Values in base64.',
    use: kept,
    key: dataKey,
    value: { type: 'string', text: 'A value in base64.', use: asWhole, format: 'byte', check: base64 },
  },
  stringData: {
    type: 'map',
    text: 'Values as they are; written into data and never read back.',
    use: kept,
    key: dataKey,
    value: { type: 'string', text: 'A value.', use: asWhole },
  },
  immutable: { type: 'boolean', text: 'Whether the values may not be changed any more.', use: kept },
} as const satisfies FieldTable
