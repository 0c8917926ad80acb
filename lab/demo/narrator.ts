// The words of the tour on a terminal. Called by demo.ts.
import { pathHint } from '../path-hint.ts'

export type Paint = (colour: 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim', text: string) => string

export interface Narrator {
  welcome(): void
  note(text: string): void
  step(number: number | undefined, title: string, words: string): void
  /** What is being done within a step. */
  doing(text: string): void
  /** Something to look at, line by line. */
  show(lines: readonly string[]): void
  finding(ok: boolean, text: string, command: string): void
  stay(name: string, well: boolean): void
  end(steps: number, durationMs: number, failed: string | undefined): void
}

const width = 96

export function narrator(write: (text: string) => void, paint: Paint): Narrator {
  const line = (text = ''): void => write(`${text}\n`)
  return {
    welcome: () => {
      line()
      line(paint('bold', 'Culvert: a service mesh of three hosts on this machine'))
      for (const text of wrap(welcomeWords)) line(text)
    },
    note: (text) => line(paint('dim', text)),
    step: (number, title, words) => {
      line()
      line(paint('bold', number === undefined ? title : `${number}. ${title}`))
      for (const text of wrap(words)) line(`   ${text}`)
    },
    doing: (text) => line(paint('dim', `   · ${text}`)),
    show: (lines) => {
      for (const text of lines) line(`     ${paint('cyan', clip(text))}`)
    },
    finding: (ok, text, command) => {
      const [first = '', ...rest] = text.split('\n')
      line(`   ${ok ? paint('green', '✓') : paint('red', '✗')} ${first}`)
      for (const more of rest) line(`     ${more}`)
      if (ok) line(paint('dim', `     again: ${command}`))
    },
    stay: (name, well) => {
      line()
      line(well ? 'The mesh stays up. Play with it:' : 'The lab stays up, so that you can look at what went wrong:')
      for (const text of playWords(name)) line(`   ${text}`)
    },
    end: (steps, durationMs, failed) => {
      line()
      const seconds = (durationMs / 1_000).toFixed(1)
      if (failed === undefined) line(paint('green', `All ${steps} steps happened, in ${seconds} s.`))
      else line(paint('red', `The tour ended at "${failed}", after ${seconds} s.`))
    },
  }
}

const welcomeWords =
  'Every host and every workload is a network namespace; the wire between the hosts is a bridge in one more. ' +
  'Control plane, agents and proxies are the real ones. Nothing outside these namespaces is touched.'

function playWords(name: string): readonly string[] {
  const lab = `--name ${name}`
  return [
    ...pathHint(),
    `export CULVERT_KUBECONFIG=$(culvert lab status ${lab} -o json | sed -n 's/.*"kubeconfig": "\\(.*\\)".*/\\1/p')`,
    'culvert status                                        # hosts, workloads, what is enforced',
    `culvert lab exec ${lab} service-a.default -- curl -s http://service-b:8080`,
    `culvert lab exec ${lab} service-c.default -- curl -s http://service-b:8080   # refused by policy`,
    'culvert delete authorizationpolicy allow-service-a-to-b    # now service-c may, too',
    'culvert label namespace default culvert.dev/dataplane-mode-   # back to plaintext',
    `culvert lab stop ${lab} control                      # and start again with: culvert lab start ${lab} control`,
    `culvert lab status ${lab}                            # where everything is`,
    `culvert lab down ${lab}                              # take it all away`,
  ]
}

function clip(text: string): string {
  return text.length <= 2 * width ? text : `${text.slice(0, 2 * width - 1)}…`
}

/** Breaks words into lines. */
export function wrap(text: string): readonly string[] {
  const lines: string[] = []
  let current = ''
  for (const word of text.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > width) {
      lines.push(current)
      current = word
    } else current = current === '' ? word : `${current} ${word}`
  }
  return current === '' ? lines : [...lines, current]
}
