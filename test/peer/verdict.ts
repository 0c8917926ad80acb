// How a case of test/hbone-peer is judged: what a peer may do about a violation, and what it may not. RFC 9113 leaves a choice
// in many places (5.4.1: close without GOAWAY; 5.4.2: a stream error as an error of the session), so a verdict has a middle.
import { errorName } from '../../core/hbone/h2/protocol.ts'
import { frame, type } from '../helpers/raw-http2.ts'
import type { Target } from './target.ts'
import type { Wire } from './wire.ts'

/** What a case needs to know or have beyond the address of the peer. */
export type Need = 'echo' | 'refused' | 'denied' | 'credentials' | 'mint'

/** A text: the peer departs from what the case wants in a way that is allowed. Failures are thrown. */
export type Verdict = string | undefined

export interface PeerCase {
  readonly name: string
  /** Where it is written. */
  readonly source: string
  readonly needs?: readonly Need[]
  readonly run: (target: Target) => Promise<Verdict>
}

export interface Expected {
  /** Codes of the RFC for it; others are a deviation. */
  readonly codes: readonly number[]
  /** The stream that may be reset for it, where the RFC makes it a stream error. */
  readonly stream?: number
  /** A status of 400 and above on that stream is as good (malformed requests, RFC 9113 8.1.1). */
  readonly orStatus?: boolean
  /** Why a peer may also reset the stream alone, though the RFC makes it an error of the session. */
  readonly orReset?: { readonly stream: number; readonly why: string }
  /** Why a peer may also pass over it without a word; a stream must not be served for it. */
  readonly orIgnored?: string
  /** Why a peer may also serve the stream. */
  readonly orServed?: string
}

const pingPayload = Buffer.from('violated')
/** After the answer to a PING behind the violation: a refusal may take a turn of the peer's scheduler longer. */
const graceMs = 500

/** Judges what a peer does about a violation that was just sent. */
export async function refusal(wire: Wire, expected: Expected): Promise<Verdict> {
  const { stream, orReset } = expected
  wire.send(frame(type.ping, 0, 0, pingPayload))
  const alive = () => wire.of(type.ping).some(({ flags, payload }) => flags === 1 && payload.equals(pingPayload))
  const refusedOn = stream ?? orReset?.stream
  const answersBefore = refusedOn === undefined ? 0 : wire.lists(refusedOn).length
  const judged = () => {
    if ((wire.gone ?? 0) !== 0 || wire.closed) return true
    if (refusedOn === undefined) return false
    return wire.reset(refusedOn) !== undefined || (expected.orStatus === true && (wire.status(refusedOn) ?? 0) >= 400)
  }
  await wire
    .until('a refusal, or an answer to PING', () => judged() || alive())
    .catch((error: unknown) => {
      if (!wire.closed) throw error
    })
  if (!judged()) await wire.within(graceMs, judged)
  const served = refusedOn !== undefined && wire.lists(refusedOn).length > answersBefore
  return verdict(wire, expected, served)
}

function verdict(wire: Wire, expected: Expected, served: boolean): Verdict {
  const { codes, stream, orReset, orIgnored, orServed } = expected
  const wanted = codes.map(errorName).join(' or ')
  const { gone } = wire
  if (gone !== undefined && gone !== 0) {
    return codes.includes(gone) ? undefined : `GOAWAY with ${errorName(gone)} instead of ${wanted}`
  }
  const status = stream === undefined ? undefined : wire.status(stream)
  if (expected.orStatus === true && status !== undefined && status >= 400) return undefined
  const reset = stream === undefined ? undefined : wire.reset(stream)
  if (reset !== undefined)
    return codes.includes(reset) ? undefined : `reset with ${errorName(reset)} instead of ${wanted}`
  if (orReset !== undefined && wire.reset(orReset.stream) !== undefined) return orReset.why
  if (wire.closed) return 'closed without a GOAWAY that says why'
  const excuse = served ? orServed : (orIgnored ?? orServed)
  if (excuse !== undefined) return excuse
  throw new Error(`the peer took it, expected ${wanted} (${wire.story()})`)
}

/** The session answers, so it lives. */
export async function alive(wire: Wire): Promise<void> {
  const payload = Buffer.from(`alive${String(wire.received.length).padStart(3, '0').slice(-3)}`)
  wire.send(frame(type.ping, 0, 0, payload))
  await wire.until('an answer to PING', () => {
    return wire.of(type.ping).some(({ flags, payload: got }) => flags === 1 && got.equals(payload))
  })
}

/** Bytes go there and come back on an open tunnel. */
export async function echoes(wire: Wire, id: number, text = 'are you there?'): Promise<void> {
  const before = wire.bytes(id).length
  await wire.data(id, Buffer.from(text))
  await wire.until(`the echo on stream ${id}`, () => wire.bytes(id).length >= before + text.length)
  same(wire.bytes(id).subarray(before).toString(), text, 'the echo')
}

export function same(got: unknown, wanted: unknown, what: string): void {
  if (got !== wanted) throw new Error(`${what}: got ${String(got)}, expected ${String(wanted)}`)
}
