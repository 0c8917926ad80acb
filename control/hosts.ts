// The hosts of the mesh: what each was granted, and which certificates it may use. A host exists from its join until the
// operator deletes it; its certificates are worth nothing without its record.
import { sleep } from '../core/base/deadline.ts'
import { MeshError } from '../core/base/errors.ts'
import { hostIdentity } from '../core/identity/spiffe.ts'
import type { Authority, SignedCertificate } from './ca/authority.ts'
import type { Grant } from './grants.ts'
import { Serial } from './serial.ts'
import type { RecordStore } from './store/store.ts'

const bucket = 'hosts'
/** Of one host, the newest: two overlap in a renewal; a host that asks on and on must not make its record grow. */
const maxCertificates = 8
const followRetryMs = 500

export interface HostCertificate {
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  /** Milliseconds since 1970, as `notAfter`; absent in records of earlier versions. */
  readonly notBefore?: number
  readonly notAfter: number
}

export interface HostRecord extends Grant {
  readonly joinedAt: number
  /** The newest ones that have not expired. */
  readonly certificates: readonly HostCertificate[]
}

export interface HostsDeps {
  readonly records: RecordStore
  readonly authority: Authority
  readonly certificateLifetimeMs: number
  /** Told of what was done to a host by way of this replica. */
  readonly told?: (host: string, what: 'joined' | 'revoked') => void
  readonly clock?: () => number
}

export function normalSerial(serial: string): string {
  return serial.toLowerCase().replace(/^0+(?=.)/, '')
}

export class Hosts {
  readonly #deps: HostsDeps
  readonly #clock: () => number
  readonly #serial = new Serial()
  readonly #removed = new Set<(host: string) => void>()

  constructor(deps: HostsDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? Date.now
  }

  async get(host: string): Promise<HostRecord | undefined> {
    return (await this.#deps.records.get(bucket, host)) as HostRecord | undefined
  }

  async list(): Promise<readonly HostRecord[]> {
    return (await this.#deps.records.list(bucket)).map(({ value }) => value as HostRecord)
  }

  /** Registers a host anew: certificates of an earlier join of that name end. */
  join(grant: Grant, csr: string): Promise<SignedCertificate> {
    return this.#serial.run(async () => {
      const signed = await this.#sign(grant.host, csr)
      const record: HostRecord = { ...grant, joinedAt: this.#clock(), certificates: [entryOf(signed)] }
      await this.#deps.records.put(bucket, grant.host, record)
      this.#announceRemoval(grant.host)
      this.#deps.told?.(grant.host, 'joined')
      return signed
    })
  }

  /** Another certificate for a host that is connected. Throws NODE_UNAUTHORIZED where it was deleted meanwhile. */
  renew(host: string, csr: string): Promise<SignedCertificate> {
    return this.#serial.run(async () => {
      const signed = await this.#sign(host, csr)
      for (;;) {
        const stored = await this.#deps.records.entry(bucket, host)
        if (stored === undefined) throw new MeshError('NODE_UNAUTHORIZED', `host "${host}" is not a host of this mesh`)
        const record = stored.value as HostRecord
        const valid = record.certificates.filter(({ notAfter }) => notAfter > this.#clock())
        const certificates = [...valid, entryOf(signed)].slice(-maxCertificates)
        const next = { ...record, certificates }
        if ((await this.#deps.records.swap(bucket, host, next, stored.revision)) !== undefined) return signed
      }
    })
  }

  /** The record of the host that presents a certificate. Throws NODE_UNAUTHORIZED for one that was replaced or revoked. */
  async authenticate(host: string, serial: string): Promise<HostRecord> {
    const record = await this.get(host)
    const known = record?.certificates.some((certificate) => certificate.serial === normalSerial(serial))
    if (record !== undefined && known === true) return record
    const reason = record === undefined ? 'is not a host of this mesh' : 'uses a certificate that was replaced'
    throw new MeshError('NODE_UNAUTHORIZED', `host "${host}" ${reason}: join it with a new token`)
  }

  /** Revokes a host. False where there is none of that name. */
  remove(host: string): Promise<boolean> {
    return this.#serial.run(async () => {
      if ((await this.get(host)) === undefined) return false
      await this.#deps.records.delete(bucket, host)
      this.#announceRemoval(host)
      this.#deps.told?.(host, 'revoked')
      return true
    })
  }

  /** Told when the certificates that a host uses may have stopped being valid: it was deleted, or joined anew. */
  onRevoked(listener: (host: string) => void): void {
    this.#removed.add(listener)
  }

  /** Tells of what other replicas do to hosts, until `signal` aborts; what changed while the store was away is told then. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const { key } of this.#deps.records.watch(bucket, signal)) this.#announceRemoval(key)
      } catch {
        // the store is away: it is watched again, from the beginning
      }
      await sleep(followRetryMs, signal).catch(() => undefined)
    }
  }

  #announceRemoval(host: string): void {
    for (const listener of this.#removed) listener(host)
  }

  #sign(host: string, csr: string): Promise<SignedCertificate> {
    const { authority, certificateLifetimeMs } = this.#deps
    return authority.sign(csr, hostIdentity(authority.trustDomain, host), certificateLifetimeMs)
  }
}

function entryOf(signed: SignedCertificate): HostCertificate {
  return { serial: normalSerial(signed.serial), notBefore: signed.notBefore, notAfter: signed.notAfter }
}
