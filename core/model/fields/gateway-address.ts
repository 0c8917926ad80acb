// Addresses of a Gateway, asked for in its spec and told in its status.
import { asWhole, type FieldTable, ignored, type ListField, type ListRule, type ObjectRule } from './field.ts'
import { isHostName } from './gateway-parts.ts'
import { text } from './parts.ts'
import { clip, ipAddress } from './rules.ts'

const domain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'
const typePattern = `^Hostname|IPAddress|NamedAddress|${domain}\\/[A-Za-z0-9\\/\\-._~%!$&'()*+,;=:]+$`

export const addressFields = {
  type: text('IPAddress, Hostname, NamedAddress, or domain/path for a type of somebody else.', {
    minLength: 1,
    maxLength: 253,
    pattern: typePattern,
    default: 'IPAddress',
  }),
  value: text('The address; where absent, any of its type.', { maxLength: 253 }),
} as const satisfies FieldTable

/** The `oneOf` of the CRD: what is an IPAddress must be one. */
export const addressShape: ObjectRule = {
  message: 'one of the shapes of type, value',
  check: ({ type = 'IPAddress', value }, report) => {
    if (type !== 'IPAddress' || value === undefined || ipAddress(String(value)) === undefined) return
    report(['value'], `"${clip(String(value))}" is not an IP address; write one, or set type to Hostname`)
  },
}

const hostShape: ObjectRule = {
  message:
    'Hostname value must be empty or contain only valid characters (matching ^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)',
  check: ({ type, value }, report) => {
    if (type !== 'Hostname' || value === undefined || isHostName(String(value))) return
    report(['value'], `"${clip(String(value))}" is not a host name such as api.example.com`)
  },
}

function distinct(type: string): ListRule {
  return {
    message: `${type} values must be unique`,
    check: (items, report) => {
      const seen = new Map<unknown, number>()
      for (const [index, item] of items.entries()) {
        if ((item['type'] ?? 'IPAddress') !== type || item['value'] === undefined) continue
        const first = seen.get(item['value'])
        if (first === undefined) seen.set(item['value'], index)
        else
          report([index, 'value'], `"${clip(String(item['value']))}" is listed already as entry ${first}`, 'duplicate')
      }
    },
  }
}

export const gatewayAddresses = {
  type: 'list',
  text: 'Addresses that the gateway should have.',
  use: ignored('addresses are not taken: a waypoint has those of its instances'),
  maxItems: 16,
  item: { type: 'object', text: 'One address.', use: asWhole, fields: addressFields, rules: [hostShape, addressShape] },
  rules: [distinct('IPAddress'), distinct('Hostname')],
} as const satisfies ListField
