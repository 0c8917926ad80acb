// The secrets that replicas share: records of the store, sealed. control/app.ts uses it where the store is not this machine's own.
import { isDeepStrictEqual } from 'node:util'
import type { Vault } from '../ca/vault.ts'
import type { RecordStore } from '../store/store.ts'
import type { Seal, Sealed } from './seal.ts'

const bucket = 'secrets'

export function sharedVault(records: RecordStore, seal: Seal): Vault {
  const read = async (name: string): Promise<{ readonly secret: string; readonly revision: number } | undefined> => {
    const entry = await records.entry(bucket, name)
    if (entry === undefined) return undefined
    return { secret: seal.open(name, entry.value as Sealed), revision: entry.revision }
  }
  return {
    place: 'the store',
    read: async (name) => (await read(name))?.secret,
    replace: async (name, secret, previous) => {
      const current = await read(name)
      if (!isDeepStrictEqual(current?.secret, previous)) return current?.secret ?? secret
      const written = await records.swap(bucket, name, seal.close(name, secret), current?.revision ?? 0)
      if (written !== undefined) return secret
      return (await read(name))?.secret ?? secret
    },
  }
}
