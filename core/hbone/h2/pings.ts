// The PINGs of a session that wait for their answer. Owned by engine.ts.
import type { Sender } from './sender.ts'

const maxPings = 8

export class Pings {
  readonly #sender: Sender
  readonly #waiting = new Map<number, () => void>()
  #count = 0

  constructor(sender: Sender) {
    this.#sender = sender
  }

  /** Never calls back where too many are under way. `resting`: the session carries nothing at the moment. */
  send(onAnswer: () => void, resting: boolean): void {
    if (this.#waiting.size >= maxPings) return
    this.#count += 1
    const payload = Buffer.alloc(8)
    payload.writeUInt32BE(this.#count, 4)
    this.#waiting.set(this.#count, onAnswer)
    if (resting) this.#sender.writer.rest()
    this.#sender.writer.ping(false, payload, 0)
    this.#sender.wake()
  }

  /** `payload` has the 8 bytes of an acknowledged PING at `start`. */
  answered(payload: Buffer, start: number): void {
    const count = payload.readUInt32BE(start + 4)
    const onAnswer = this.#waiting.get(count)
    this.#waiting.delete(count)
    onAnswer?.()
  }

  clear(): void {
    this.#waiting.clear()
  }
}
