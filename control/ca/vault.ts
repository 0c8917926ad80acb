// Where the control plane keeps what must stay secret: the signing keys and the API token. A lone control plane keeps them in files of
// its state directory; replicas share them sealed, in the store (../replicas/shared-vault.ts).
import { join } from 'node:path'
import { readPrivate, writePrivate } from '../../core/base/private-file.ts'
import { privateDirectory } from '../state-files.ts'

export interface Vault {
  /** How messages name the place. */
  readonly place: string
  read(name: string): Promise<string | undefined>
  /**
   * Stores a secret, unless another replica has changed it since it was `previous` (undefined: there was none).
   * @returns what is stored now: that replica's, where it was faster
   */
  replace(name: string, secret: string, previous: string | undefined): Promise<string>
}

/** One file each (0600), written whole or not at all. */
export async function fileVault(...parts: readonly string[]): Promise<Vault> {
  const directory = await privateDirectory(...parts)
  return {
    place: directory,
    read: (name) => readPrivate(join(directory, name)),
    replace: async (name, secret) => {
      await writePrivate(join(directory, name), secret)
      return secret
    },
  }
}
