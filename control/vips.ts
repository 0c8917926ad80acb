// Virtual IPs of services: one of each family, recorded, not given to another service until the range has been gone through.
// The API server calls `allocate` before it stores a Service.
import { MeshError } from '../core/base/errors.ts'
import type { ServiceSpec } from '../core/model/fields/service.ts'
import type { MeshObject } from '../core/model/resource.ts'
import { type AddressFamily, addressBytes, addressText, canonicalAddress, familyOf } from '../core/net/address.ts'
import { CidrTrie, parseCidr } from '../core/net/cidr.ts'
import { nameOf } from './compile/conditions.ts'
import { vipsOf } from './compile/service.ts'
import { Serial } from './serial.ts'
import type { Store } from './store/store.ts'

export const vipRanges = ['240.240.0.0/16', '2001:2::/48'] as const

const bucket = 'vips'
const cursorBucket = 'vip-cursors'
/** How many addresses one allocation looks at before it calls the range full. */
const maxProbes = 70_000
/** An address that was given out belongs to its service this long before the service must be in the store. */
const graceMs = 60_000

interface VipRecord {
  readonly service: string
  readonly at: number
}

export interface VipAllocatorOptions {
  readonly store: Store
  readonly ranges?: readonly string[]
  /** Told of a service that gets no address because a range is full. */
  readonly exhausted?: (service: MeshObject, message: string) => void
  readonly clock?: () => number
}

export class VipAllocator {
  readonly #store: Store
  readonly #ranges: ReadonlyMap<AddressFamily, Range>
  readonly #within = new CidrTrie<true>()
  readonly #exhausted: VipAllocatorOptions['exhausted']
  readonly #clock: () => number
  readonly #serial = new Serial()

  constructor(options: VipAllocatorOptions) {
    this.#store = options.store
    this.#clock = options.clock ?? Date.now
    this.#exhausted = options.exhausted
    const ranges = (options.ranges ?? vipRanges).map((cidr) => rangeOf(cidr))
    this.#ranges = new Map(ranges.map((range) => [range.family, range]))
    for (const cidr of options.ranges ?? vipRanges) this.#within.insert(cidr, true)
  }

  /** Whether an address may only ever be a service's. */
  contains(address: string): boolean {
    return this.#within.matches(address)
  }

  /**
   * The service with its virtual IPs filled in. A service that has some keeps them; an address that its author chose is
   * honoured where it is in the range and free. Throws RESOURCE_INVALID (422) otherwise, and where the range is full.
   */
  allocate(service: MeshObject): Promise<MeshObject> {
    const spec = (service.spec ?? {}) as ServiceSpec
    if (spec.type === 'ExternalName') return Promise.resolve(service)
    if (spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None') {
      return Promise.resolve({ ...service, spec: { ...spec, clusterIP: 'None', clusterIPs: ['None'] } })
    }
    return this.#serial.run(async () => {
      const clusterIPs = await this.#addressesFor(service)
      return { ...service, spec: { ...spec, clusterIP: clusterIPs[0]!, clusterIPs } }
    })
  }

  async #addressesFor(service: MeshObject): Promise<readonly string[]> {
    const name = nameOf(service)
    const chosen = vipsOf(service)
    for (const address of chosen) await this.#claimChosen(address, name)
    const recorded = await this.#recordedFor(name)
    const addresses = [...chosen]
    for (const family of this.#ranges.keys()) {
      if (addresses.some((address) => familyOf(address) === family)) continue
      const kept = recorded.find((address) => familyOf(address) === family)
      if (kept !== undefined) await this.#claim(kept, name)
      addresses.push(kept ?? (await this.#next(family, name, service)))
    }
    return addresses
  }

  async #claimChosen(address: string, name: string): Promise<void> {
    if (!this.contains(address)) {
      const ranges = [...this.#ranges.values()].map((range) => range.cidr).join(' and ')
      throw new MeshError(
        'RESOURCE_INVALID',
        `spec.clusterIP: ${address} is not in the range of virtual IPs (${ranges}); leave it out to get one`,
      )
    }
    const owner = await this.#claim(address, name)
    if (owner !== name) {
      throw new MeshError('RESOURCE_INVALID', `spec.clusterIP: ${address} belongs to the service ${owner}`)
    }
  }

  /** Writes the service down as the owner, unless another one is. Several replicas may try at once. @returns the owner */
  async #claim(address: string, name: string): Promise<string> {
    for (;;) {
      const entry = await this.#store.records.entry(bucket, address)
      const owner = await this.#ownerOf(address, entry?.value as VipRecord | undefined)
      if (owner !== undefined && owner !== name) return owner
      const record: VipRecord = { service: name, at: this.#clock() }
      if ((await this.#store.records.swap(bucket, address, record, entry?.revision ?? 0)) !== undefined) return name
    }
  }

  /** The service that holds an address now; undefined where it is free. */
  async #ownerOf(address: string, record: VipRecord | undefined): Promise<string | undefined> {
    if (record === undefined) return undefined
    if (this.#clock() - record.at < graceMs) return record.service
    const [namespace = '', name = ''] = record.service.split('/')
    const stored = await this.#store.get({ group: '', kind: 'Service', namespace, name })
    return stored !== undefined && vipsOf(stored.object).includes(address) ? record.service : undefined
  }

  async #recordedFor(name: string): Promise<readonly string[]> {
    const [namespace = '', serviceName = ''] = name.split('/')
    const stored = await this.#store.get({ group: '', kind: 'Service', namespace, name: serviceName })
    return stored === undefined ? [] : vipsOf(stored.object)
  }

  /** The next free address after the last one given out, wrapping at the end of the range. */
  async #next(family: AddressFamily, name: string, service: MeshObject): Promise<string> {
    const range = this.#ranges.get(family)!
    let cursor = BigInt(((await this.#store.records.get(cursorBucket, family)) as string | undefined) ?? '0')
    for (let probe = 0; probe < maxProbes; probe++) {
      cursor = (cursor % range.last) + 1n
      const address = addressAt(range, cursor)
      const record = (await this.#store.records.get(bucket, address)) as VipRecord | undefined
      if ((await this.#ownerOf(address, record)) !== undefined || (await this.#claim(address, name)) !== name) continue
      await this.#store.records.put(cursorBucket, family, String(cursor))
      return address
    }
    const message = `no virtual IP is free in ${range.cidr} for the service ${name}`
    this.#exhausted?.(service, message)
    throw new MeshError('RESOURCE_INVALID', message)
  }
}

interface Range {
  readonly cidr: string
  readonly family: AddressFamily
  readonly base: bigint
  readonly bytes: 4 | 16
  /** Highest offset from `base` in use: neither the first address nor, for IPv4, the broadcast address is given out. */
  readonly last: bigint
}

function rangeOf(text: string): Range {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new MeshError('CONFIG_INVALID', `"${text}" is not a range of virtual IPs`)
  const bytes = cidr.family === 'ipv4' ? 4 : 16
  const size = 1n << BigInt(bytes * 8 - cidr.prefix)
  if (size < 4n) throw new MeshError('CONFIG_INVALID', `the range of virtual IPs ${text} is too small`)
  const hex = Buffer.from(addressBytes(cidr.address)).toString('hex')
  return { cidr: text, family: cidr.family, base: BigInt(`0x${hex}`), bytes, last: size - 2n }
}

function addressAt(range: Range, offset: bigint): string {
  const hex = (range.base + offset).toString(16).padStart(range.bytes * 2, '0')
  return canonicalAddress(addressText(Buffer.from(hex, 'hex')))!
}
