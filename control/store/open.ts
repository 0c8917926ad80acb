// Opens the store that the configuration names. Called by control/app.ts.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError } from '../../core/base/errors.ts'
import type { Logger } from '../../core/base/log.ts'
import type { ControlConfig } from '../config.ts'
import { type EtcdStoreOptions, openEtcdStore } from './etcd.ts'
import type { EtcdTls } from './etcd-transport.ts'
import { openSqliteStore } from './sqlite.ts'
import type { Store } from './store.ts'

/** Throws CONFIG_INVALID, or STORE_FAILED with what to do about it. */
export async function openStore(config: ControlConfig, stateDir: string, log: Logger): Promise<Store> {
  if (config.store === 'sqlite') return openSqliteStore(join(stateDir, 'store.sqlite'))
  return openEtcdStore(await etcdOptions(config, log))
}

async function etcdOptions(config: ControlConfig, log: Logger): Promise<EtcdStoreOptions> {
  const { etcdEndpoints: endpoints, etcdPrefix: prefix, etcdHistory: historyLimit } = config
  if (endpoints.length === 0) throw invalid('--etcd-endpoints is missing: --store etcd needs to know its members')
  const tls = await tlsOf(config)
  const plain = endpoints.filter(({ protocol }) => protocol === 'http:')
  if (plain.length > 0 && Object.keys(tls).length > 0) {
    throw invalid(`--etcd-endpoints: ${plain[0]?.href} is not https, but certificates for etcd are given`)
  }
  const open = plain.filter(({ hostname }) => !isLoopback(hostname)).map(({ host }) => host)
  if (open.length > 0) {
    log.warn({ endpoints: open }, 'etcd is reached without TLS: who is on that network can read and change the mesh')
  }
  return { endpoints, prefix, historyLimit, tls, log, ...(await credentials(config)) }
}

async function tlsOf(config: ControlConfig): Promise<EtcdTls> {
  const { etcdCa, etcdCert, etcdKey } = config
  if ((etcdCert === undefined) !== (etcdKey === undefined)) {
    throw invalid('--etcd-cert and --etcd-key belong together: one of them is missing')
  }
  return {
    ...(etcdCa === undefined ? {} : { ca: await textOf('--etcd-ca', etcdCa) }),
    ...(etcdCert === undefined ? {} : { cert: await textOf('--etcd-cert', etcdCert) }),
    ...(etcdKey === undefined ? {} : { key: await textOf('--etcd-key', etcdKey) }),
  }
}

async function credentials({ etcdUser, etcdPasswordFile }: ControlConfig) {
  if ((etcdUser === undefined) !== (etcdPasswordFile === undefined)) {
    throw invalid('--etcd-user and --etcd-password-file belong together: one of them is missing')
  }
  if (etcdUser === undefined || etcdPasswordFile === undefined) return {}
  const password = (await textOf('--etcd-password-file', etcdPasswordFile)).replace(/\r?\n$/, '')
  return { user: etcdUser, password }
}

async function textOf(flag: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error: unknown) {
    throw new MeshError('CONFIG_INVALID', `${flag}: ${(error as Error).message}`, { cause: error })
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
}

function invalid(message: string): MeshError {
  return new MeshError('CONFIG_INVALID', message)
}
