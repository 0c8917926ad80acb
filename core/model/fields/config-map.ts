// ConfigMap (core v1): small values that everybody may read.
import { base64, dataKey } from './core-parts.ts'
import { asWhole, enforced, type FieldTable, type ObjectCheck } from './field.ts'

const kept = enforced('api: kept for its readers')

/** Keys and values together (Kubernetes, MaxSecretSize). */
const maxBytes = 1024 * 1024

type Texts = Readonly<Record<string, string>>

const distinctKeys: ObjectCheck = (map, report) => {
  const { data = {}, binaryData = {} } = map as { data?: Texts; binaryData?: Texts }
  for (const key of Object.keys(binaryData)) {
    if (Object.hasOwn(data, key)) report(['binaryData', key], 'is in data already', 'duplicate')
  }
}

const notTooLarge: ObjectCheck = (map, report) => {
  const { data = {}, binaryData = {} } = map as { data?: Texts; binaryData?: Texts }
  const plain = Object.values(data).reduce((sum, value) => sum + Buffer.byteLength(value), 0)
  const size = plain + Object.values(binaryData).reduce((sum, value) => sum + Math.floor((value.length * 3) / 4), 0)
  if (size > maxBytes) report(['data'], `holds ${size} bytes, at most ${maxBytes} are allowed`)
}

/** Over the whole object. */
export const configMapChecks = [distinctKeys, notTooLarge]

export const configMapBody = {
  data: {
    type: 'map',
    text: 'Values, in UTF-8.',
    use: kept,
    key: dataKey,
    value: { type: 'string', text: 'A value.', use: asWhole },
  },
  binaryData: {
    type: 'map',
    text: 'Values of any bytes, in base64.',
    use: kept,
    key: dataKey,
    value: { type: 'string', text: 'A value in base64.', use: asWhole, format: 'byte', check: base64 },
  },
  immutable: { type: 'boolean', text: 'Whether the values may not be changed any more.', use: kept },
} as const satisfies FieldTable
