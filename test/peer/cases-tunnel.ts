// Cases of test/hbone-peer about the tunnel: what CONNECT is answered, and whom TLS lets in (docs/ARCHITECTURE.md).
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import { selfMade } from './mint.ts'
import { accepted, type Target, type TlsChanges } from './target.ts'
import type { PeerCase, Verdict } from './verdict.ts'
import type { Wire } from './wire.ts'

function answered(
  name: string,
  wanted: number,
  source: string,
  needs: PeerCase['needs'],
  fields: (target: Target) => readonly HeaderField[],
): PeerCase {
  return {
    name,
    source,
    ...(needs === undefined ? {} : { needs }),
    run: async (target) => {
      const wire = await target.session()
      wire.send(wire.headers(1, fields(target)))
      await wire.until('an answer', () => wire.status(1) !== undefined || wire.reset(1) !== undefined)
      return judge(wire, wanted)
    },
  }
}

function judge(wire: Wire, wanted: number): Verdict {
  const status = wire.status(1)
  if (status === wanted) return undefined
  if (status === 200) throw new Error(`answered 200, expected ${wanted}`)
  return status === undefined ? `reset instead of ${wanted}` : `answered ${status} instead of ${wanted}`
}

const connect = (authority: string): readonly HeaderField[] => [
  [':method', 'CONNECT'],
  [':authority', authority],
]

const get: readonly HeaderField[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', '10.0.0.1:80'],
  [':path', '/'],
]

const statuses: readonly PeerCase[] = [
  ...[
    'nonsense',
    '10.0.0.1',
    '10.0.0.1:',
    '10.0.0.1:0',
    '10.0.0.1:99999',
    '[::1',
    '10.0.0.1:80 x',
    'user@10.0.0.1:80',
  ].map((authority) =>
    answered(`CONNECT ${authority} is answered 400`, 400, 'HBONE', undefined, () => connect(authority)),
  ),
  answered('GET is answered 400', 400, 'HBONE', undefined, () => get),
  answered('CONNECT to a port where nothing listens is answered 503', 503, 'HBONE', ['refused'], (target) =>
    connect(target.options.refused!),
  ),
  answered('CONNECT that a policy denies is answered 401', 401, 'HBONE', ['denied'], (target) =>
    connect(target.options.denied!),
  ),
]

/** Whether a tunnel opens for somebody; whatever else happens is a refusal. */
async function letsIn(target: Target, changes: TlsChanges): Promise<boolean> {
  try {
    const wire = await target.session('', {}, changes)
    wire.send(wire.connect(1, target.options.echo ?? '127.0.0.1:1'))
    await wire.until('an answer', () => wire.status(1) !== undefined || wire.reset(1) !== undefined)
    const status = wire.status(1)
    if (status === 401 || status === 403) return false
    return status !== undefined
  } catch {
    return false
  }
}

/** Nobody may get in with these changes, though one does without them. */
function shut(
  name: string,
  needs: PeerCase['needs'],
  changes: (target: Target) => Promise<TlsChanges>,
  orLetIn?: string,
): PeerCase {
  return {
    name,
    source: 'HBONE, RFC 8446',
    ...(needs === undefined ? {} : { needs }),
    run: async (target) => {
      if (!(await letsIn(target, await changes(target)))) {
        // The refusal must be for the change, not for something else.
        const wire = await target.session()
        wire.send(wire.connect(1, target.echo))
        await accepted(wire, 1)
        return undefined
      }
      if (orLetIn === undefined) throw new Error('the peer opened a tunnel')
      return orLetIn
    },
  }
}

const admission: readonly PeerCase[] = [
  shut('a client without ALPN', ['echo'], async () => ({ alpn: [] }), 'the peer takes HTTP/2 for granted'),
  shut('a client with another ALPN', ['echo'], async () => ({ alpn: ['http/1.1'] })),
  shut('TLS 1.2', ['echo'], async () => ({ maxVersion: 'TLSv1.2' })),
  shut('a client without a certificate', ['echo', 'credentials'], async () => ({ credentials: null })),
  shut('a client with a certificate of an authority of its own', ['echo', 'credentials'], async () => ({
    credentials: await selfMade('spiffe://cluster.local/ns/default/sa/default'),
  })),
  shut('a client of another trust domain', ['echo', 'mint'], async ({ options }) => ({
    credentials: await options.mint!('spiffe://elsewhere.example/ns/default/sa/default'),
  })),
  shut('a client whose certificate names nobody', ['echo', 'mint'], async ({ options }) => ({
    credentials: await options.mint!('https://cluster.local/ns/default/sa/default'),
  })),
  shut(
    'a server name that nobody has',
    ['echo'],
    async () => ({ serverName: 'nobody.nowhere.example' }),
    'the peer does not look at server names',
  ),
  {
    name: 'a TLS session of before does not stand in for a certificate',
    source: 'RFC 8446 2.2, 4.6.1',
    needs: ['echo', 'credentials'],
    run: async (target) => {
      let session: Buffer | undefined
      const onSession = (ticket: Buffer) => {
        session = ticket
      }
      const wire = await target.session('', {}, { onSession })
      wire.send(wire.connect(1, target.echo))
      await accepted(wire, 1)
      if (session === undefined || !(await letsIn(target, { session, credentials: null }))) return undefined
      return 'the peer resumes TLS sessions: who has the ticket needs no certificate'
    },
  },
]

export const tunnelCases: readonly PeerCase[] = [...statuses, ...admission]
