// What addresses and ports of Endpoints and EndpointSlices may be. endpoints.ts and endpoint-slice.ts read it.
import type { ObjectCheck } from './field.ts'
import { all, clip, portName, unicastAddress } from './rules.ts'

interface PortLike {
  readonly name?: string
  readonly port?: number
  readonly protocol?: string
}

/** Kubernetes' rule: an endpoint is one machine that is not this one, or traffic for it would reach whoever sends it. */
export function endpointAddress(value: string): string | undefined {
  const wrong = unicastAddress(value)
  if (wrong !== undefined) return wrong
  const address = value.toLowerCase()
  if (/^127\./.test(address) || address === '::1' || /^::ffff:127\./.test(address))
    return `"${clip(value)}" is a loopback address: it is another machine for everybody`
  return /^169\.254\.|^fe[89ab][0-9a-f]:/.test(address)
    ? `"${clip(value)}" is a link-local address: it means something on its own link only`
    : undefined
}

export const optionalPortName = (value: string): string | undefined => (value === '' ? undefined : portName(value))

/** Ports of one list are told apart by name, so with several each needs one. */
export function distinctPorts(path: 'ports', single: boolean): ObjectCheck {
  return (value, report) => {
    const ports = (value[path] as readonly PortLike[] | undefined) ?? []
    const seen = new Map<string, number>()
    for (const [index, { name = '' }] of ports.entries()) {
      if (single && ports.length > 1 && name === '')
        report([path, index, 'name'], 'is required: there are several ports', 'required')
      const first = seen.get(name)
      if (first !== undefined && (name !== '' || !single))
        report([path, index, 'name'], `"${name}" is used already by ${path}[${first}]`, 'duplicate')
      if (first === undefined) seen.set(name, index)
    }
  }
}

export const endpointHostname = all<string>((value) =>
  value === '' || (value.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(value))
    ? undefined
    : `"${clip(value)}" is not a DNS label`,
)
