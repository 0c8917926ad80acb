// Files of a state directory: readable by their owner only, replaced whole or not at all. Used by state-file.ts, by the host certificate
// (core/feed/host-certificate.ts) and by the control plane.
import { constants, mkdirSync } from 'node:fs'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asMeshError } from './errors.ts'

let writes = 0

/** Replaces `file` atomically and durably (mode 0600); a crash leaves the old or the new content. Throws STORE_FAILED. */
export async function writePrivate(file: string, content: string): Promise<void> {
  writes += 1
  const temporary = `${file}.${process.pid}.${writes}.tmp`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
    await syncDirectory(dirname(file))
  } catch (error: unknown) {
    await rm(temporary, { force: true })
    throw asMeshError(error, 'STORE_FAILED')
  }
}

/** A rename is durable only once its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Content of `file`, undefined where there is none. Throws STORE_FAILED. */
export async function readPrivate(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw asMeshError(error, 'STORE_FAILED')
  }
}
