// Questions of `explain` that wait for an answer: control asks agents, an agent asks its daemon. One per connection.
import { deadline } from '../base/deadline.ts'
import { type ErrorCode, errorCodes, MeshError } from '../base/errors.ts'
import type { ExplainQuestion, LiveView } from '../model/explanation.ts'

/** Both ways it is the same on the feed and on the handoff. */
export type ExplainRequest = { readonly type: 'explain'; readonly id: number; readonly question: ExplainQuestion }
export type ExplainAnswer =
  | { readonly type: 'explained'; readonly id: number; readonly view: LiveView }
  | { readonly type: 'explain-failed'; readonly id: number; readonly code: string; readonly reason: string }

const maxWaiting = 64

export class Asked {
  readonly #who: string
  readonly #limitMs: number
  readonly #waiting = new Map<number, (answer: ExplainAnswer) => void>()
  #nextId = 1

  /** @param who is asked, for messages */
  constructor(who: string, limitMs: number) {
    this.#who = who
    this.#limitMs = limitMs
  }

  /** Rejects with ABORTED where no answer comes in time or `signal` aborts, else with the code that was answered. */
  async ask(
    question: ExplainQuestion,
    send: (request: ExplainRequest) => boolean,
    signal: AbortSignal,
  ): Promise<LiveView> {
    if (this.#waiting.size >= maxWaiting) throw new MeshError('LIMIT_REACHED', `${this.#who} is asked too much at once`)
    const id = this.#nextId++
    const limit = deadline(this.#limitMs, signal)
    const { promise, resolve, reject } = Promise.withResolvers<ExplainAnswer>()
    const late = (): void => {
      const how = signal.aborted ? 'went away' : `did not answer within ${this.#limitMs / 1000} s`
      reject(new MeshError('ABORTED', `${this.#who} ${how}`))
    }
    limit.addEventListener('abort', late, { once: true })
    this.#waiting.set(id, resolve)
    try {
      if (!send({ type: 'explain', id, question })) throw new MeshError('FEED_CLOSED', `${this.#who} is not connected`)
      const answer = await promise
      if (answer.type === 'explained') return answer.view
      const code = Object.hasOwn(errorCodes, answer.code) ? (answer.code as ErrorCode) : 'FEED_PROTOCOL'
      throw new MeshError(code, answer.reason)
    } finally {
      this.#waiting.delete(id)
      limit.removeEventListener('abort', late)
    }
  }

  /** An answer to nobody came too late. */
  settle(answer: ExplainAnswer): void {
    this.#waiting.get(answer.id)?.(answer)
  }
}
