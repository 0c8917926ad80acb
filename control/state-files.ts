// Private files of the control plane's state directory: written whole or not at all, readable by their owner only.
import { constants } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asMeshError } from '../core/base/errors.ts'

let writes = 0

/** Replaces `file` atomically and durably (mode 0600). A crash leaves the old or the new content. Throws STORE_FAILED. */
export async function writePrivateFile(file: string, content: string): Promise<void> {
  writes += 1
  const temporary = `${file}.${process.pid}.${writes}.tmp`
  try {
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

/** Content of a file, undefined where there is none. Throws STORE_FAILED. */
export async function readPrivateFile(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw asMeshError(error, 'STORE_FAILED')
  }
}

/** Makes a directory that only its owner may enter, and returns its path. */
export async function privateDirectory(...parts: readonly string[]): Promise<string> {
  const directory = join(...parts)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return directory
}
