// Which certificates of workloads the control plane has signed, the last one of each identity on each host: what `culvert certs` lists.
// Written beside the signing, never in its way: a store that is away keeps nobody from a certificate.
import { asMeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import type { CertificateStatus } from '../core/model/mesh-status.ts'
import { normalSerial } from './hosts.ts'
import { Serial } from './serial.ts'
import type { RecordStore } from './store/store.ts'

const bucket = 'issued'
/** An expired one is shown this long: somebody may ask why it was not renewed. */
const keptMs = 24 * 60 * 60 * 1000

interface IssuedRecord {
  readonly host: string
  readonly identity: string
  readonly serial: string
  /** Milliseconds since 1970, as `notAfter`. */
  readonly notBefore: number
  readonly notAfter: number
}

export interface IssuedCertificatesOptions {
  readonly records: Pick<RecordStore, 'put' | 'list' | 'delete'>
  readonly log: Logger
  readonly clock?: () => number
}

export class IssuedCertificates {
  readonly #options: IssuedCertificatesOptions
  readonly #serial = new Serial()

  constructor(options: IssuedCertificatesOptions) {
    this.#options = options
  }

  /** Notes a certificate that was signed. Never throws. */
  note(
    host: string,
    identity: string,
    signed: { readonly serial: string; readonly notBefore: number; readonly notAfter: number },
  ): void {
    const { notBefore, notAfter } = signed
    const record: IssuedRecord = { host, identity, serial: normalSerial(signed.serial), notBefore, notAfter }
    this.#later(() => this.#options.records.put(bucket, keyOf(record), record))
  }

  /** By host and identity. What expired long ago, or belongs to none of these hosts, is left out and deleted. */
  async list(hosts: ReadonlySet<string>): Promise<readonly CertificateStatus[]> {
    const { records, clock = Date.now } = this.#options
    const now = clock()
    const all = (await records.list(bucket)).map(({ value }) => value as IssuedRecord)
    const isKept = ({ host, notAfter }: IssuedRecord): boolean => hosts.has(host) && notAfter + keptMs > now
    for (const record of all) if (!isKept(record)) this.#later(() => records.delete(bucket, keyOf(record)))
    return all.filter(isKept).map(({ host, identity, serial, notBefore, notAfter }) => ({
      ...{ host, identity, serial },
      notBefore: new Date(notBefore).toISOString(),
      notAfter: new Date(notAfter).toISOString(),
    }))
  }

  async close(): Promise<void> {
    await this.#serial.idle()
  }

  #later(work: () => Promise<void>): void {
    this.#serial.run(work).catch((error: unknown) => {
      const { code, message } = asMeshError(error, 'STORE_FAILED')
      this.#options.log.debug({ code }, `a certificate was not noted: ${message}`)
    })
  }
}

function keyOf({ host, identity }: IssuedRecord): string {
  return `${host} ${identity}`
}
