// How callers reach the API and prove themselves: a bearer token of this state directory, and the kubeconfig that carries it.
// app.ts publishes where the API is; `culvert kubeconfig` prints it; the file `kubeconfig` is kept for the CLI and the lab.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { MeshError } from '../core/base/errors.ts'
import { readPrivate, writePrivate } from '../core/base/private-file.ts'
import { formatSocketAddress, type SocketAddress } from '../core/net/address.ts'
import type { Caller } from './api/request.ts'
import type { Vault } from './ca/vault.ts'

/** What `api.json` in the state directory says. */
interface PublishedApi {
  readonly address: SocketAddress
  readonly server: string
  /** Trust bundle, PEM. */
  readonly ca: string
}

const name = 'culvert'

/**
 * The API's bearer token: made at the first start, 256 random bits, the same for all replicas. A copy in the state directory is for
 * `culvert kubeconfig`.
 */
export async function apiToken(vault: Vault, stateDir: string): Promise<string> {
  const stored = await vault.read('api-token')
  const known = (stored ?? '').trim()
  const token = known === '' ? (await vault.replace('api-token', newToken(), stored)).trim() : known
  const file = join(stateDir, 'api-token')
  if ((await readPrivate(file))?.trim() !== token) await writePrivate(file, `${token}\n`)
  return token
}

function newToken(): string {
  return `${randomBytes(32).toString('base64url')}\n`
}

/** Checks `Authorization: Bearer`; the time that it takes tells nothing of the token. */
export function bearerAuthentication(token: string): (request: IncomingMessage) => Promise<Caller | undefined> {
  const expected = digest(token)
  return async (request) => {
    const match = /^Bearer ([A-Za-z0-9._~+/=-]{1,4096})$/i.exec(request.headers.authorization ?? '')
    if (match === null || !timingSafeEqual(digest(match[1]!), expected)) return undefined
    return { name: 'culvert:admin', groups: ['system:masters', 'system:authenticated'] }
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** Writes down where the API listens, for `culvert kubeconfig` and for a later start on the same port. */
export async function publishApi(stateDir: string, address: SocketAddress, ca: string): Promise<PublishedApi> {
  const published: PublishedApi = { address, server: `https://${formatSocketAddress(reachable(address))}`, ca }
  await writePrivate(join(stateDir, 'api.json'), `${JSON.stringify(published, null, 2)}\n`)
  await writePrivate(join(stateDir, 'kubeconfig'), await renderKubeconfig(stateDir))
  return published
}

/** Where the API listened last; undefined before the first start. */
export async function lastApiAddress(stateDir: string): Promise<SocketAddress | undefined> {
  return (await readPublished(stateDir))?.address
}

/** The administrator's kubeconfig, YAML. Throws CONFIG_INVALID where no control plane has been started in `stateDir`. */
export async function renderKubeconfig(stateDir: string): Promise<string> {
  const published = await readPublished(stateDir)
  const token = (await readPrivate(join(stateDir, 'api-token')))?.trim()
  if (published === undefined || token === undefined) {
    const hint = `start it with \`culvert control --state-dir ${stateDir}\``
    throw new MeshError(
      'CONFIG_INVALID',
      `no control plane has been started with the state directory ${stateDir}: ${hint}`,
    )
  }
  const cluster = {
    server: published.server,
    'certificate-authority-data': Buffer.from(published.ca).toString('base64'),
  }
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}

async function readPublished(stateDir: string): Promise<PublishedApi | undefined> {
  const file = join(stateDir, 'api.json')
  const content = await readPrivate(file)
  if (content === undefined) return undefined
  try {
    return JSON.parse(content) as PublishedApi
  } catch (error: unknown) {
    throw new MeshError('CONFIG_INVALID', `${file} is not JSON`, { cause: error })
  }
}

/** A wildcard is no address to connect to. */
function reachable({ address, port }: SocketAddress): SocketAddress {
  if (address === '0.0.0.0') return { address: '127.0.0.1', port }
  return { address: address === '::' ? '::1' : address, port }
}
