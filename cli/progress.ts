// One line that tells how far long work is, on a terminal only, and gone when the work is done. On standard error, so that output can be
// piped. Used by `apply` and `delete`.

/** Fewer are done before anybody would read it. */
const fewest = 50
const everyMs = 100

interface Terminal {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export class Progress {
  readonly #what: string
  readonly #total: number
  readonly #terminal: Terminal
  readonly #clock: () => number
  readonly #shows: boolean
  #done = 0
  #shownAt = Number.NEGATIVE_INFINITY
  #isShown = false

  /** `what`: the work in a word, such as `applied`. */
  constructor(what: string, total: number, terminal: Terminal = process.stderr, clock = () => performance.now()) {
    this.#what = what
    this.#total = total
    this.#terminal = terminal
    this.#clock = clock
    this.#shows = total > fewest && terminal.isTTY === true
  }

  /** One more is done. */
  step(): void {
    this.#done += 1
    const now = this.#clock()
    if (!this.#shows || now - this.#shownAt < everyMs) return
    this.#shownAt = now
    this.#isShown = true
    this.#terminal.write(`\r\x1b[K${this.#what} ${this.#done} of ${this.#total}`)
  }

  /** Takes the line away: before something else is printed, and at the end. */
  clear(): void {
    if (!this.#isShown) return
    this.#isShown = false
    this.#shownAt = Number.NEGATIVE_INFINITY
    this.#terminal.write('\r\x1b[K')
  }
}
