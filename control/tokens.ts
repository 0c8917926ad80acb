// Join tokens: what an operator hands to a new host. Single use, expiring, bound to a host and its identities, kept only as a
// hash. Text: `culvert1.<id>.<secret>.<SHA-256 of the root certificate>`.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { MeshError } from '../core/base/errors.ts'
import type { Grant } from './grants.ts'
import { Serial } from './serial.ts'
import type { RecordStore } from './store/store.ts'

const bucket = 'tokens'
const tokenPattern = /^culvert1\.([0-9a-f]{16})\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})$/
const failureWindowMs = 60_000
const maxFailuresPerAddress = 10
/** A token whose id is known to somebody who guesses secrets is burnt. */
const maxWrongSecrets = 5

export interface TokenRecord {
  readonly hash: string
  readonly grant: Grant
  readonly expiresAt: number
  readonly wrongSecrets: number
}

export interface TokenDeps {
  readonly records: RecordStore
  readonly rootFingerprint: string
  readonly clock?: () => number
}

export class Tokens {
  readonly #deps: TokenDeps
  readonly #clock: () => number
  readonly #serial = new Serial()
  readonly #failures: LRUCache<string, { count: number; readonly since: number }>

  constructor(deps: TokenDeps) {
    this.#deps = deps
    this.#clock = deps.clock ?? Date.now
    this.#failures = new LRUCache({ max: 10_000 })
  }

  /** The only time that the token's text is known. Also forgets tokens that have expired. */
  async create(grant: Grant, ttlMs: number): Promise<{ readonly token: string; readonly expiresAt: number }> {
    await this.#sweep()
    const id = randomBytes(8).toString('hex')
    const secret = randomBytes(32).toString('base64url')
    const expiresAt = this.#clock() + ttlMs
    const record: TokenRecord = { hash: hashOf(secret), grant, expiresAt, wrongSecrets: 0 }
    await this.#deps.records.put(bucket, id, record)
    return { token: `culvert1.${id}.${secret}.${this.#deps.rootFingerprint}`, expiresAt }
  }

  /**
   * Takes a token: it is valid for `host` and is now used up. `from` is the address that presents it, for the rate limit.
   * Throws TOKEN_INVALID; to the outside every reason looks alike but for expiry and host, which only a holder can reach.
   */
  redeem(text: string, host: string, from: string): Promise<Grant> {
    // One at a time: a wrong guess that is being counted must not bring a token back that is being taken.
    return this.#serial.run(() => this.#redeem(text, host, from))
  }

  async #redeem(text: string, host: string, from: string): Promise<Grant> {
    this.#checkRate(from)
    const match = tokenPattern.exec(text)
    if (match === null) return this.#fail(from, 'the token is malformed: expected culvert1.<id>.<secret>.<fingerprint>')
    const [, id = '', secret = '', fingerprint] = match
    if (fingerprint !== this.#deps.rootFingerprint) return this.#fail(from, 'the token is for another mesh')
    const record = (await this.#deps.records.get(bucket, id)) as TokenRecord | undefined
    const expected = Buffer.from(record?.hash ?? hashOf(''), 'hex')
    const matches = timingSafeEqual(Buffer.from(hashOf(secret), 'hex'), expected)
    if (record === undefined || !matches) {
      if (record !== undefined) await this.#countWrongSecret(id, record)
      return this.#fail(from, 'the token is unknown or was used already')
    }
    if (record.expiresAt <= this.#clock()) {
      await this.#deps.records.delete(bucket, id)
      return this.#fail(from, `the token expired at ${new Date(record.expiresAt).toISOString()}: create another`)
    }
    if (record.grant.host !== host) {
      return this.#fail(from, `the token is for another host than "${host}"`)
    }
    const taken = await this.#deps.records.take(bucket, id)
    return taken === undefined ? this.#fail(from, 'the token is unknown or was used already') : record.grant
  }

  async #countWrongSecret(id: string, record: TokenRecord): Promise<void> {
    const wrongSecrets = record.wrongSecrets + 1
    if (wrongSecrets >= maxWrongSecrets) await this.#deps.records.delete(bucket, id)
    else await this.#deps.records.put(bucket, id, { ...record, wrongSecrets })
  }

  async #sweep(): Promise<void> {
    const now = this.#clock()
    for (const { key, value } of await this.#deps.records.list(bucket)) {
      if ((value as TokenRecord).expiresAt <= now) await this.#deps.records.delete(bucket, key)
    }
  }

  #checkRate(from: string): void {
    const failures = this.#failures.get(from)
    if (failures === undefined || this.#clock() - failures.since > failureWindowMs) return
    if (failures.count < maxFailuresPerAddress) return
    throw new MeshError('TOKEN_INVALID', 'too many wrong tokens from this address: wait a minute')
  }

  #fail(from: string, reason: string): never {
    const now = this.#clock()
    const failures = this.#failures.get(from)
    if (failures === undefined || now - failures.since > failureWindowMs) {
      this.#failures.set(from, { count: 1, since: now })
    } else failures.count += 1
    throw new MeshError('TOKEN_INVALID', reason)
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
