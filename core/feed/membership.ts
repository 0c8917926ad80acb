// How an agent or a waypoint belongs to a mesh: the certificate of its host name from disk or by joining, then the feed, its
// certificate kept fresh. Runs in the background of everything else: who has a saved state works without any of it.
import { readFile } from 'node:fs/promises'
import { backoff, sleep } from '../base/deadline.ts'
import { asMeshError, MeshError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { ExplainQuestion, LiveView } from '../model/explanation.ts'
import { type ControlPlace, FeedClient } from './client.ts'
import { HostCertificate } from './host-certificate.ts'
import { joinMesh } from './join.ts'

export interface MemberConfig {
  /** The name that the token was made for. */
  readonly host: string
  readonly control: readonly ControlPlace[]
  readonly stateDir: string
  readonly token?: string | undefined
  readonly tokenFile?: string | undefined
}

export interface MembershipOptions {
  readonly config: MemberConfig
  readonly build: string
  resume(): { readonly epoch: string; readonly version: number; readonly digest?: string } | undefined
  digests(): Readonly<Record<string, string>>
  explain?(question: ExplainQuestion): Promise<LiveView>
  /** What this member understands beyond the first version of the feed. */
  readonly features?: readonly string[]
  readonly log: Logger
  readonly signal: AbortSignal
}

export interface Membership {
  readonly certificate: HostCertificate
  /** Not started yet, so that its user can listen to it first. */
  readonly feed: FeedClient
}

const joinRetry = { baseMs: 1000, maxMs: 30_000 } as const

/**
 * The certificate on disk, else a join. Tries again while the control plane cannot be reached; throws TOKEN_INVALID,
 * NODE_UNAUTHORIZED, IDENTITY_INVALID or CONFIG_INVALID where trying again cannot help.
 */
export async function becomeMember(options: MembershipOptions): Promise<Membership> {
  const { config, log } = options
  const certificate = (await HostCertificate.load(config.stateDir, config.host, log)) ?? (await join(options))
  const feed = new FeedClient({
    controls: config.control,
    host: config.host,
    build: options.build,
    trustDomain: certificate.credentials.trustDomain,
    credentials: () => certificate.credentials,
    resume: options.resume,
    digests: options.digests,
    ...(options.explain === undefined ? {} : { explain: options.explain }),
    ...(options.features === undefined ? {} : { features: options.features }),
    log: log.child({ part: 'feed' }),
  })
  feed.on('bundle', (bundle) => {
    certificate.setBundle(bundle).catch((error: unknown) => log.error({ err: error }, 'the trust bundle was not saved'))
  })
  return { certificate, feed }
}

/** Starts the feed and renews the host certificate until the signal aborts. */
export async function stayMember({ certificate, feed }: Membership, signal: AbortSignal): Promise<void> {
  feed.start()
  await certificate.keepFresh(
    (csr, limit) => feed.requestCertificate('node', csr, limit),
    () => {},
    signal,
  )
}

async function join({ config, log, signal }: MembershipOptions): Promise<HostCertificate> {
  const { host, control: controls, stateDir } = config
  for (let attempt = 0; ; attempt += 1) {
    const control = controls[attempt % controls.length]!
    try {
      const credentials = await joinMesh({ control, host, token: await readToken(config), signal })
      const certificate = await HostCertificate.adopt(stateDir, credentials, log)
      log.info({ host, trustDomain: credentials.trustDomain }, 'joined the mesh')
      return certificate
    } catch (error: unknown) {
      const failure = asMeshError(error, 'FEED_CLOSED')
      if (!failure.retryable || signal.aborted) throw failure
      const delayMs = backoff(Math.floor(attempt / controls.length), joinRetry)
      log.warn({ code: failure.code, delayMs }, failure.message)
      await sleep(delayMs, signal)
    }
  }
}

async function readToken({ token, tokenFile, host }: MemberConfig): Promise<string> {
  if (token !== undefined) return token
  const hint = `make one with \`culvert token create --host ${host}\``
  if (tokenFile === undefined) {
    throw new MeshError('CONFIG_INVALID', `${host} has not joined yet: --token-file or --token is needed; ${hint}`)
  }
  try {
    return await readFile(tokenFile, 'utf8')
  } catch (error: unknown) {
    throw new MeshError('CONFIG_INVALID', `--token-file ${tokenFile} cannot be read; ${hint}`, { cause: error })
  }
}
