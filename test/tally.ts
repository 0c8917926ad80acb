// Counts the tests in the TAP that tap writes for many files: a test is a `t.test` sentence without others inside. Used by run.ts.
// Pure but for `say`, which gets one line per file, and everything about a file that failed.

export interface Count {
  readonly passed: number
  readonly failed: number
}

interface OpenFile {
  readonly name: string
  readonly lines: string[]
  /** Subtests that have begun and not ended, the innermost last. */
  readonly open: OpenTest[]
  passed: number
  failed: number
}

interface OpenTest {
  readonly depth: number
  /** Failures of the file when it began. */
  readonly failedBefore: number
  hasTests: boolean
}

function openFile(name: string): OpenFile {
  return { name, lines: [], open: [], passed: 0, failed: 0 }
}

const fileStart = /^# Subtest: (.+)$/
const fileEnd = /^(not )?ok \d+ - (.*)$/
const testStart = /^((?: {4})+)# Subtest: /
const result = /^((?: {4})+)(not )?ok \d+(?: - (.*))?$/
const leftOut = /(?<!\\)# (SKIP|TODO)\b/i
/** What is worth showing of a file that failed: not its passing tests, plans and times. */
const dull = /^\s*(?:ok \d+|\d+\.\.\d+|# Subtest:|# time=|$)/
const fate = /^ {2}(exitCode|signal|expired|error|failReason): (?!null)/

export class Tally {
  readonly #say: (line: string) => void
  #file: OpenFile | undefined
  #afterFailure = false
  #passed = 0
  #failed = 0

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  line(line: string): void {
    const start = fileStart.exec(line)
    if (start !== null) {
      this.#abandon()
      this.#afterFailure = false
      this.#file = openFile(start[1]!)
      return
    }
    if (/^Bail out!/.test(line)) this.#fail(line)
    const end = fileEnd.exec(line)
    if (end !== null) this.#finish(end[1] === undefined, end[2]!)
    else if (this.#file !== undefined) this.#inFile(this.#file, line)
    else if (this.#afterFailure && fate.test(line)) this.#say(`  ${line}`)
  }

  /** `problem` is how the runner ended badly, if it did. Whatever failed unseen counts once. */
  end(problem?: string): Count {
    this.#abandon()
    if (problem !== undefined && this.#failed === 0) this.#fail(problem)
    if (this.#passed + this.#failed === 0) this.#fail('no test ran')
    return { passed: this.#passed, failed: this.#failed }
  }

  #inFile(file: OpenFile, line: string): void {
    file.lines.push(line)
    const start = testStart.exec(line)
    if (start !== null) {
      const outer = file.open.at(-1)
      if (outer !== undefined) outer.hasTests = true
      file.open.push({ depth: start[1]!.length, failedBefore: file.failed, hasTests: false })
      return
    }
    const end = result.exec(line)
    if (end !== null) this.#ended(file, end[1]!.length, end[2] === undefined, end[3] ?? '')
  }

  #ended(file: OpenFile, depth: number, passed: boolean, text: string): void {
    const skipped = leftOut.test(text)
    if (skipped) file.lines.push(`    left out, which counts as failed: ${text}`)
    const test = file.open.at(-1)?.depth === depth ? file.open.pop() : undefined
    // Without a subtest it is an assertion: of the file itself, which counts, or of a test, which does not, unless left out.
    if (test === undefined && file.open.length > 0 && !skipped) return
    if (test?.hasTests && (passed || file.failed > test.failedBefore)) return
    if (skipped || !passed) file.failed += 1
    else file.passed += 1
  }

  /** A file that failed without a failing test crashed, hung or left something open: that is a failure of its own. */
  #finish(passed: boolean, text: string): void {
    const file = this.#file ?? openFile(text)
    this.#file = undefined
    const whole = passed && !leftOut.test(text) && file.passed + file.failed > 0
    if (!whole && file.failed === 0) file.failed = 1
    this.#passed += file.passed
    this.#failed += file.failed
    const time = /# time=(\S+)/.exec(text)?.[1] ?? ''
    if (file.failed === 0) this.#say(`  ok   ${file.name}  ${file.passed} tests  ${time}`)
    else this.#show(file, time)
  }

  #show(file: OpenFile, time: string): void {
    this.#say(`  FAIL ${file.name}  ${file.failed} of ${file.passed + file.failed} tests  ${time}`)
    for (const line of file.lines) if (!dull.test(line)) this.#say(`    ${line}`)
    if (file.passed === 0 && file.lines.length === 0) this.#say('      no tests in this file')
    this.#afterFailure = true
  }

  #abandon(): void {
    if (this.#file !== undefined) this.#finish(false, `${this.#file.name} did not end`)
  }

  #fail(reason: string): void {
    this.#failed += 1
    this.#say(`  FAIL ${reason}`)
  }
}
