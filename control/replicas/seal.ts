// Encrypts what replicas share through the store: AES-256-GCM (NIST SP 800-38D) under a key that scrypt (RFC 7914) makes of the secret
// given at start. The store sees neither the secret nor what is sealed.
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { MeshError } from '../../core/base/errors.ts'
import type { RecordStore } from '../store/store.ts'

const bucket = 'seal'
const proofText = 'culvert'
/** 32 MiB of memory and about 0.1 s: once at start, and for each guess of whoever has the store. */
const cost = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const
const minSecretLength = 16

/** JSON form of a sealed text; all base64. */
export interface Sealed {
  readonly iv: string
  readonly tag: string
  readonly data: string
}

export class Seal {
  readonly #key: Buffer

  private constructor(key: Buffer) {
    this.#key = key
  }

  /**
   * The seal of this mesh; made by the first replica. Throws CONFIG_INVALID where the secret is too short, or is not the one that
   * the mesh was made with.
   */
  static async open(records: RecordStore, secret: string): Promise<Seal> {
    if (secret.length < minSecretLength) {
      throw new MeshError('CONFIG_INVALID', `the CA key or passphrase must have at least ${minSecretLength} characters`)
    }
    const stored = await records.get(bucket, 'proof')
    if (stored === undefined) return Seal.#create(records, secret)
    if (!isProof(stored)) {
      const advice = 'restore the store from a backup'
      throw new MeshError('STORE_FAILED', `the proof of the CA key in the store was changed: ${advice}`)
    }
    const seal = new Seal(await keyOf(secret, stored.salt))
    if (seal.#proves(stored)) return seal
    const message = 'the CA key or passphrase is not the one that the secrets in the store were sealed with'
    throw new MeshError('CONFIG_INVALID', `${message}: give every replica the same`)
  }

  static async #create(records: RecordStore, secret: string): Promise<Seal> {
    const salt = randomBytes(16).toString('base64')
    const seal = new Seal(await keyOf(secret, salt))
    const proof: Proof = { salt, sealed: seal.close('proof', proofText) }
    const written = await records.swap(bucket, 'proof', proof, 0)
    // another replica was faster: its salt counts
    return written === undefined ? Seal.open(records, secret) : seal
  }

  /** `name` is bound to the text: a sealed secret put in the place of another one does not open. */
  close(name: string, text: string): Sealed {
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv).setAAD(Buffer.from(name))
    const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return { iv: iv.toString('base64'), tag: cipher.getAuthTag().toString('base64'), data: data.toString('base64') }
  }

  /** Throws STORE_FAILED where the record was changed, or sealed for another name. */
  open(name: string, sealed: Sealed): string {
    try {
      const iv = Buffer.from(sealed.iv, 'base64')
      const decipher = createDecipheriv('aes-256-gcm', this.#key, iv, { authTagLength: 16 })
      decipher.setAAD(Buffer.from(name)).setAuthTag(Buffer.from(sealed.tag, 'base64'))
      return Buffer.concat([decipher.update(Buffer.from(sealed.data, 'base64')), decipher.final()]).toString('utf8')
    } catch (error: unknown) {
      throw new MeshError('STORE_FAILED', `the secret "${name}" in the store cannot be opened: it was changed`, {
        cause: error,
      })
    }
  }

  #proves({ sealed }: Proof): boolean {
    try {
      return this.open('proof', sealed) === proofText
    } catch {
      return false
    }
  }
}

interface Proof {
  readonly salt: string
  readonly sealed: Sealed
}

/** Whether secrets are sealed in this store: it must not be opened without their key. */
export async function isSealed(records: RecordStore): Promise<boolean> {
  return (await records.get(bucket, 'proof')) !== undefined
}

function isProof(value: unknown): value is Proof {
  const { salt, sealed } = (value ?? {}) as Partial<Proof>
  return typeof salt === 'string' && typeof sealed === 'object' && sealed !== null
}

function keyOf(secret: string, salt: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(secret.normalize('NFC'), Buffer.from(salt, 'base64'), 32, cost, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}
