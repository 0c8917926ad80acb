// Keys and certificates on disk: one file per identity (so that key and chain never disagree), 0600 in a directory of 0700,
// replaced atomically. Called by the certificate cache only.
import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { IssuedParts } from './certificate.ts'

/** `receivedAt`: when the certificate arrived, milliseconds since the epoch; renewal counts from there. */
export interface StoredCertificate extends IssuedParts {
  readonly receivedAt: number
}

const suffix = '.certificate.json'
const temporary = '.tmp'

/** Everything readable in `directory`, created if missing. What cannot be read is removed and told to `onCorrupt`. */
export async function loadStored(
  directory: string,
  onCorrupt: (file: string, error: unknown) => void,
): Promise<readonly StoredCertificate[]> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await chmod(directory, 0o700)
  const found: StoredCertificate[] = []
  for (const name of await readdir(directory)) {
    const file = join(directory, name)
    // Left behind by a crash between write and rename.
    if (name.endsWith(temporary)) await rm(file, { force: true })
    if (!name.endsWith(suffix)) continue
    try {
      const stored = parseStored(await readFile(file, 'utf8'))
      if (fileName(stored.identity) !== name) throw new Error(`the file is not that of ${stored.identity}`)
      found.push(stored)
    } catch (error: unknown) {
      await rm(file, { force: true })
      onCorrupt(file, error)
    }
  }
  return found
}

export async function writeStored(directory: string, stored: StoredCertificate): Promise<void> {
  const target = join(directory, fileName(stored.identity))
  const draft = `${target}.${randomBytes(4).toString('hex')}${temporary}`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(JSON.stringify(stored))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, target)
}

export async function removeStored(directory: string, identity: string): Promise<void> {
  await rm(join(directory, fileName(identity)), { force: true })
}

/** A digest, since an identity may be longer than a file name. */
function fileName(identity: string): string {
  return `${createHash('sha256').update(identity).digest('hex').slice(0, 40)}${suffix}`
}

function parseStored(text: string): StoredCertificate {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error('not an object')
  const { receivedAt } = value as Readonly<Record<string, unknown>>
  if (typeof receivedAt !== 'number' || !Number.isFinite(receivedAt)) throw new Error('receivedAt is not a time')
  return {
    identity: textField(value, 'identity'),
    keyPem: textField(value, 'keyPem'),
    chainPem: textField(value, 'chainPem'),
    bundlePem: textField(value, 'bundlePem'),
    receivedAt,
  }
}

function textField(value: object, name: string): string {
  const field: unknown = Reflect.get(value, name)
  if (typeof field !== 'string' || field === '') throw new Error(`${name} is missing`)
  return field
}
