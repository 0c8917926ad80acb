// What a peer may cost us without sending anything useful. Owned by engine.ts; every method throws ENHANCE_YOUR_CALM where the
// budget is spent, and the session ends.
import type { SessionLimits } from '../limits.ts'
import { Budget } from './flow.ts'
import { errorCode, SessionError } from './protocol.ts'

/** A PING in ten seconds is honest; these are far beyond that, and still cost nothing. */
const controlBurst = 2_000
const controlsPerSecond = 1_000
const settingsBurst = 64
const settingsPerSecond = 10
const windowUpdateBurst = 20_000
const windowUpdatesPerSecond = 10_000
/** What makes an honest peer send frames without a use: it measures the path by PINGs while DATA comes (gRPC), resets what is over (nginx). */
const controlsPerSent = 2
const controlsPerReceived = 1
const controlsPerAnswer = 4
/** An honest peer may answer every DATA frame with two updates, or every so many bytes with one. */
const updatesPerFrame = 4
const bytesPerUpdate = 1_024

export class Floods {
  readonly #resets: Budget
  readonly #controls = new Budget(controlBurst, controlsPerSecond)
  readonly #settings = new Budget(settingsBurst, settingsPerSecond)
  readonly #windowUpdates = new Budget(windowUpdateBurst, windowUpdatesPerSecond)

  constructor(limits: Pick<SessionLimits, 'resetBurst' | 'resetsPerSecond'>) {
    this.#resets = new Budget(limits.resetBurst, limits.resetsPerSecond)
  }

  /** RST_STREAM, and whatever makes us send one (CVE-2023-44487, CVE-2025-8671). */
  reset(): void {
    if (!this.#resets.spend()) throw tooMuch('too many streams were reset')
  }

  /** PING, acknowledgements, PRIORITY, unknown frames, empty DATA, frames of streams that are over. */
  control(): void {
    if (!this.#controls.spend()) throw tooMuch('too many frames without a use')
  }

  settings(): void {
    if (!this.#settings.spend()) throw tooMuch('too many SETTINGS')
  }

  windowUpdate(): void {
    if (!this.#windowUpdates.spend()) throw tooMuch('too many WINDOW_UPDATE')
  }

  /** We sent DATA, which the peer answers with window updates and may measure. */
  sent(bytes: number): void {
    this.#windowUpdates.earn(updatesPerFrame + bytes / bytesPerUpdate)
    if (bytes > 0) this.#controls.earn(controlsPerSent)
  }

  /** DATA with something in it came. */
  received(): void {
    this.#controls.earn(controlsPerReceived)
  }

  /** A server answered what we asked. */
  answered(): void {
    this.#controls.earn(controlsPerAnswer)
  }
}

function tooMuch(message: string): SessionError {
  return new SessionError(errorCode.enhanceYourCalm, message)
}
