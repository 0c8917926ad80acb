// Directories of the control plane's state. The files in them are private-file.ts's.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Makes a directory that only its owner may enter, and returns its path. */
export async function privateDirectory(...parts: readonly string[]): Promise<string> {
  const directory = join(...parts)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return directory
}
