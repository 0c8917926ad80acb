// What an engine is told by the kind of session that is made of it, and whom it tells. Implemented by session.ts and message-session.ts.
import type { MeshError } from '../../base/errors.ts'
import type { HeaderRules } from './header-blocks.ts'
import type { StreamFactory } from './session-stream.ts'

export interface EngineHooks {
  /** The peer's SETTINGS came, for the first time or again. */
  readonly onSettings: () => void
  readonly onGoaway: () => void
  /** The session is over, once; with an error where the peer broke it or it broke. */
  readonly onClosed: (error: MeshError | undefined) => void
}

/** What the two kinds of session differ in. */
export interface EngineKind<S> {
  readonly makeStream: StreamFactory<S>
  readonly rules: HeaderRules<S>
  /** Names whose values differ from message to message: not worth a place in the table of HPACK. */
  readonly unindexed: readonly string[]
  /** Names whose values must not get there. */
  readonly secret?: readonly string[]
  /** Of an encoded header block; by default as much as a header list. */
  readonly maxBlockBytes?: number
  /** What was read of the socket before, to find out what is spoken. */
  readonly first?: Buffer | undefined
  /** Whether extended CONNECT is taken (server). */
  readonly connectProtocol?: boolean
}
