// The common way of every connection: registered before anything is decided, established, copied, reported. The three
// handlers say how to establish and what the caller sees of a failure.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { CancelSignal } from '../core/base/cancel.ts'
import { asMeshError, MeshError } from '../core/base/errors.ts'
import { type PumpWatcher, startPump } from '../core/hbone/pump.ts'
import type { SocketAddress } from '../core/net/address.ts'
import { readAhead } from '../core/net/socket-reader.ts'
import type { Connection, ConnectionFacts } from './connections.ts'
import type { Plane } from './plane.ts'
import type { Report } from './reports.ts'
import { sameEnd } from './sockets.ts'
import type { ByteCounts } from './telemetry/access-log.ts'
import type { ByteTotals } from './telemetry/telemetry.ts'

export interface Way {
  /** Decides and connects; `connection.signal` ends every wait in it. Throws a MeshError. */
  establish(connection: Connection): Promise<{ readonly near: Duplex; readonly far: Duplex }>
  /** Tells the caller that nothing came of it. Must not throw. */
  fail(error: MeshError): void
}

/**
 * Carries one connection. Resolves once it is established, or was not; the copy and its report go on by themselves, so that
 * nothing of the way here is held while a connection is idle. Never rejects: whatever happens belongs to this connection alone.
 */
export async function carry(plane: Plane, facts: ConnectionFacts, report: Report, way: Way): Promise<void> {
  let connection: Connection | undefined
  try {
    connection = plane.connections.register(facts)
    const { near, far } = await way.establish(connection)
    connection.opened(near, far)
    const carried = new Carried(plane, connection, report)
    report.opened(carried)
    startPump(near, far, carried)
  } catch (thrown: unknown) {
    const error = connection?.closeReason ?? asMeshError(thrown, 'CONNECT_FAILED')
    finish(plane, facts, report, connection, error, way)
  }
}

/** A connection whose bytes are copied: its totals, and its end. */
class Carried implements PumpWatcher, ByteTotals {
  aToB = 0
  bToA = 0
  readonly #plane: Plane
  readonly #connection: Connection
  readonly #report: Report

  constructor(plane: Plane, connection: Connection, report: Report) {
    this.#plane = plane
    this.#connection = connection
    this.#report = report
  }

  /** Near to far is the request. */
  totals(): ByteCounts {
    return { received: this.aToB, sent: this.bToA }
  }

  pumped(error: MeshError | undefined): void {
    const connection = this.#connection
    finish(this.#plane, connection.facts, this.#report, connection, connection.closeReason ?? error)
  }
}

function finish(
  plane: Plane,
  facts: ConnectionFacts,
  report: Report,
  connection: Connection | undefined,
  error: MeshError | undefined,
  way?: Way,
): void {
  try {
    if (error !== undefined) way?.fail(error)
    connection?.finish()
    if (error !== undefined) plane.failures.labels([facts.direction, error.code]).add(1)
    report.closed(error)
  } catch (unexpected: unknown) {
    plane.log.error({ err: unexpected, direction: facts.direction }, 'a connection ended in an unexpected way')
  }
}

/**
 * Where a redirected connection was going. `direct` where nothing redirected it, or nobody knows: it was connected to the
 * proxy's own port, and `destination` is that.
 */
export function originalOf(
  plane: Plane,
  client: Socket,
  local: SocketAddress,
): { readonly destination: SocketAddress; readonly direct: boolean } {
  try {
    const original = plane.sockets.originalDestination(client)
    if (original !== undefined) return { destination: original, direct: sameEnd(original, local) }
  } catch (error: unknown) {
    plane.log.debug({ err: error }, 'the original destination of a connection is not known')
  }
  return { destination: local, direct: true }
}

/** A caller that gives up while its connection is being made cancels the making. An orderly end of its input does not. */
export function watchClient(client: Socket, connection: Connection): void {
  readAhead(client)
  const gone = (): void =>
    connection.close(new MeshError('ABORTED', 'the caller went away while it was being connected'))
  if (client.destroyed) gone()
  client.once('close', gone)
  connection.onSettled(() => client.off('close', gone))
}

/** The same for a caller at the other end of a tunnel. */
export function watchPeer(signal: CancelSignal, connection: Connection): void {
  const gone = (): void =>
    connection.close(new MeshError('ABORTED', 'the peer gave up before the application answered'))
  if (signal.aborted) gone()
  signal.addEventListener('abort', gone, { once: true })
  connection.onSettled(() => signal.removeEventListener('abort', gone))
}
