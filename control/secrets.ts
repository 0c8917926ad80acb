// Opens what the control plane must keep secret: the mesh's signing keys and the API token, in files of a lone control plane, or
// sealed in the store that replicas share. Called by app.ts.
import { readFile } from 'node:fs/promises'
import { MeshError } from '../core/base/errors.ts'
import type { Logger } from '../core/base/log.ts'
import { Authority } from './ca/authority.ts'
import { fileVault, type Vault } from './ca/vault.ts'
import type { ControlConfig } from './config.ts'
import { isSealed, Seal } from './replicas/seal.ts'
import { sharedVault } from './replicas/shared-vault.ts'
import type { Store } from './store/store.ts'

export interface Secrets {
  readonly keys: Vault
  readonly token: Vault
}

/** Throws CONFIG_INVALID where a shared store has no key to seal with, or the wrong one. */
export async function openSecrets(config: ControlConfig, stateDir: string, store: Store): Promise<Secrets> {
  const secret = await secretOf(config)
  if (secret === undefined) {
    if (config.store !== 'sqlite') {
      const message = `--ca-key-file or CULVERT_CA_PASSPHRASE is needed with --store ${config.store}`
      throw new MeshError('CONFIG_INVALID', `${message}: the signing keys are kept in the store, sealed with it`)
    }
    if (await isSealed(store.records)) {
      const advice = 'give the --ca-key-file or CULVERT_CA_PASSPHRASE that it was started with'
      throw new MeshError('CONFIG_INVALID', `the signing keys of this mesh are sealed in its store: ${advice}`)
    }
    return { keys: await fileVault(stateDir, 'ca'), token: await fileVault(stateDir) }
  }
  const shared = sharedVault(store.records, await Seal.open(store.records, secret))
  return { keys: shared, token: shared }
}

async function secretOf({ caKeyFile, caPassphrase }: ControlConfig): Promise<string | undefined> {
  if (caKeyFile === undefined) return caPassphrase
  if (caPassphrase !== undefined) {
    throw new MeshError('CONFIG_INVALID', 'give --ca-key-file or the passphrase, not both')
  }
  try {
    return (await readFile(caKeyFile, 'utf8')).trim()
  } catch (cause: unknown) {
    throw new MeshError('CONFIG_INVALID', `--ca-key-file ${caKeyFile} cannot be read`, { cause })
  }
}

interface MeshIdentity {
  readonly trustDomain: string
  /** SHA-256 of the root certificate. */
  readonly root: string
}

/** The trust domain and the root are for ever: certificates, tokens and policies of the mesh name them. */
export async function openAuthority(
  config: ControlConfig,
  vault: Vault,
  store: Store,
  log: Logger,
): Promise<Authority> {
  const { trustDomain, leafLifetime: leafLifetimeMs } = config
  checkTrustDomain(await knownIdentity(store), trustDomain)
  const authority = await Authority.open({ vault, trustDomain, leafLifetimeMs, log })
  const own: MeshIdentity = { trustDomain, root: authority.rootFingerprint }
  await store.records.swap('mesh', 'identity', own, 0)
  const known = await knownIdentity(store)
  checkTrustDomain(known, trustDomain)
  if (known !== undefined && known.root !== own.root) {
    const message = `the root certificate in ${vault.place} is not the one that this mesh was made with: restore it`
    throw new MeshError('STORE_FAILED', message)
  }
  return authority
}

async function knownIdentity(store: Store): Promise<MeshIdentity | undefined> {
  return (await store.records.get('mesh', 'identity')) as MeshIdentity | undefined
}

function checkTrustDomain(known: MeshIdentity | undefined, trustDomain: string): void {
  if (known === undefined || known.trustDomain === trustDomain) return
  const message = `--trust-domain is ${trustDomain}, but the mesh in this store was made for ${known.trustDomain}`
  throw new MeshError('CONFIG_INVALID', message)
}
