// Regular expressions of rules (RE2 syntax) as JavaScript expressions that run in linear time. match.ts compiles each one once, when
// a table of routes arrives; the compile step asks the same function, so that its author hears what cannot be used.
//
// Backtracking engines take exponential time for some expressions: a tenant's rule would stop a waypoint. V8 has a linear-time
// engine (flag `l`), which refuses what it cannot do: that is what bounds every expression here, there is no second engine. What it
// lacks is written out by this file: case folding as sets, large counted repetitions as copies.
import { setFlagsFromString } from 'node:v8'

export type LinearRegex = { readonly expression: RegExp } | { readonly problem: string }

/** Of the expression as it is written out; RE2 has a bound of its own too. */
const maxLength = 8192
const linearFlag = 'l'

/** @param whole whether the whole text must match, in which case groups are not remembered; otherwise the flag `g` is set */
export function linearRegex(source: string, whole: boolean): LinearRegex {
  try {
    const reader = new Reader(source, whole)
    const body = reader.read()
    return { expression: compile(whole ? `^(?:${body})$` : body, whole) }
  } catch (error: unknown) {
    return {
      problem: error instanceof Error ? error.message.replace(/^Invalid regular expression: .*: /, '') : 'unreadable',
    }
  }
}

let prepared = false

/** The engine is behind a flag of the process; expressions without `l` do not change. */
function compile(body: string, whole: boolean): RegExp {
  if (!prepared) setFlagsFromString('--enable-experimental-regexp-engine')
  prepared = true
  return new RegExp(body, whole ? linearFlag : `g${linearFlag}`)
}

interface Atom {
  readonly text: string
  readonly groups: boolean
  /** How often the engine copies it. */
  readonly copies: number
}

const classes: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
}

/** Copies that V8's engine makes of its own accord. */
const engineCopies = 16

class Reader {
  readonly #source: string
  readonly #whole: boolean
  #at = 0
  #ignoreCase = false
  #dotAll = false
  #depth = 0

  constructor(source: string, whole: boolean) {
    this.#source = source
    this.#whole = whole
  }

  read(): string {
    const { text } = this.#alternatives()
    if (this.#at < this.#source.length) throw new Error('unmatched ")"')
    return text
  }

  #alternatives(): Atom {
    if (++this.#depth > 100) throw new Error('groups are nested too deep')
    const outer = [this.#ignoreCase, this.#dotAll] as const
    let text = ''
    let groups = false
    let copies = 1
    while (this.#at < this.#source.length && this.#source[this.#at] !== ')') {
      if (this.#source[this.#at] === '|') {
        this.#at += 1
        text += '|'
        continue
      }
      const atom = this.#repeated(this.#atom())
      text += atom.text
      groups ||= atom.groups
      copies = Math.max(copies, atom.copies)
      if (text.length > maxLength) throw new Error(`is longer than ${maxLength} characters when written out`)
    }
    ;[this.#ignoreCase, this.#dotAll] = outer
    this.#depth -= 1
    return { text, groups, copies }
  }

  #atom(): Atom {
    const plain = (text: string): Atom => ({ text, groups: false, copies: 1 })
    const character = this.#source[this.#at]!
    if (character === '(') return this.#group()
    if (character === '[') return plain(this.#set())
    if (character === '\\') return plain(this.#escape())
    this.#at += 1
    if (character === '.') return plain(this.#dotAll ? '[\\s\\S]' : '[^\\n]')
    if (character === '^' || character === '$') return plain(character)
    if (/^[*+?]|^\{\d+(?:,\d*)?\}/.test(this.#source.slice(this.#at - 1)))
      throw new Error(`nothing to repeat before "${character}"`)
    return plain(this.#literal(character))
  }

  #group(): Atom {
    const rest = this.#source.slice(this.#at)
    const flags = /^\(\?([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest)
    const outer = [this.#ignoreCase, this.#dotAll] as const
    if (flags !== null) {
      const [opening, on = '', off = '', end] = flags
      this.#at += opening.length
      if (!this.#whole && `${on}${off}`.includes('U')) throw new Error('uses the flag U')
      if (/[is]/.test(on + off) || on !== '') {
        this.#ignoreCase = (this.#ignoreCase || on.includes('i')) && !off.includes('i')
        this.#dotAll = (this.#dotAll || on.includes('s')) && !off.includes('s')
      }
      if (end === ')') return { text: '(?:)', groups: false, copies: 1 }
      const inner = this.#closed()
      ;[this.#ignoreCase, this.#dotAll] = outer
      return { ...inner, text: `(?:${inner.text})` }
    }
    const named = /^\(\?P?<(\w+)>/.exec(rest)
    if (named === null && rest.startsWith('(?')) throw new Error('uses a group that RE2 does not have')
    this.#at += named === null ? 1 : named[0].length
    const inner = this.#closed()
    if (this.#whole) return { ...inner, text: `(?:${inner.text})` }
    return { ...inner, text: `(${inner.text})`, groups: true }
  }

  #closed(): Atom {
    const inner = this.#alternatives()
    if (this.#source[this.#at] !== ')') throw new Error('missing ")"')
    this.#at += 1
    return inner
  }

  #repeated(atom: Atom): Atom {
    const rest = this.#source.slice(this.#at)
    const found = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/.exec(rest)
    if (found === null) return atom
    this.#at += found[0].length
    const [text, least, comma, most] = found
    if (least === undefined) return { ...atom, text: atom.text + text }
    const minimum = Number(least)
    const maximum = comma === undefined ? minimum : most === '' ? undefined : Number(most)
    if (maximum !== undefined && maximum < minimum) throw new Error('numbers of a repetition are out of order')
    const copies = atom.copies * Math.max(minimum, maximum ?? 1, 1)
    if (copies <= engineCopies) return { ...atom, text: atom.text + text, copies }
    if (atom.groups) throw new Error('repeats a group too often')
    const size = atom.text.length * Math.max(minimum, maximum ?? 1)
    if (size > maxLength) throw new Error(`is longer than ${maxLength} characters when written out`)
    const tail = maximum === undefined ? `${atom.text}*` : `(?:${atom.text})?`.repeat(maximum - minimum)
    return { ...atom, text: `(?:${atom.text.repeat(minimum)}${tail})` }
  }

  #literal(character: string): string {
    if (this.#ignoreCase && /[A-Za-z]/.test(character)) return `[${character.toLowerCase()}${character.toUpperCase()}]`
    return /[\^$.*+?()[\]{}|\\/]/.test(character) ? `\\${character}` : character
  }

  #escape(): string {
    const rest = this.#source.slice(this.#at)
    const quoted = /^\\Q([\s\S]*?)(?:\\E|$)/.exec(rest)
    if (quoted !== null) {
      this.#at += quoted[0].length
      return `(?:${[...(quoted[1] ?? '')].map((character) => this.#literal(character)).join('')})`
    }
    const simple = { '\\A': '^', '\\z': '$', '\\C': '[\\s\\S]', '\\s': '[\\t\\n\\f\\r ]', '\\S': '[^\\t\\n\\f\\r ]' }
    const known = (simple as Readonly<Record<string, string>>)[rest.slice(0, 2)]
    if (known !== undefined || /^\\[bBdDwW]/.test(rest)) {
      this.#at += 2
      return known ?? rest.slice(0, 2)
    }
    const code = this.#code()
    return this.#ignoreCase ? this.#folded(code, code) : codeText(code)
  }

  /** The code of an escaped character. */
  #code(): number {
    const rest = this.#source.slice(this.#at)
    const hex = /^\\x(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2}))/.exec(rest)
    const octal = /^\\(0[0-7]{0,2})/.exec(rest)
    const text = hex?.[0] ?? octal?.[0] ?? rest.slice(0, 2)
    this.#at += text.length
    if (hex !== null) return checked(Number.parseInt(hex[1] ?? hex[2] ?? '', 16))
    if (octal !== null) return Number.parseInt(octal[1] ?? '', 8)
    const control = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 }[text[1] ?? '']
    if (control !== undefined) return control
    if (text.length < 2 || /[A-Za-z0-9]/.test(text[1]!))
      throw new Error(`has the escape ${text}, which is not supported`)
    return text.charCodeAt(1)
  }

  #set(): string {
    const opening = /^\[\^?/.exec(this.#source.slice(this.#at))![0]
    this.#at += opening.length
    let items = ''
    for (let first = true; first || this.#source[this.#at] !== ']'; first = false) {
      if (this.#at >= this.#source.length) throw new Error('missing "]"')
      items += this.#item()
    }
    this.#at += 1
    return `${opening}${items}]`
  }

  #item(): string {
    const rest = this.#source.slice(this.#at)
    const named = /^\[:(\^?)([a-z]+):\]/.exec(rest)
    if (named !== null) {
      const content = classes[named[2]!]
      if (content === undefined || named[1] !== '') throw new Error(`has the class ${named[0]}, which is not supported`)
      this.#at += named[0].length
      return this.#ignoreCase && /^(?:lower|upper)$/.test(named[2]!) ? 'A-Za-z' : content
    }
    if (/^\\[dDwWS]/.test(rest)) return this.#take(2)
    if (/^\\s/.test(rest)) return this.#take(2) && '\\t\\n\\f\\r '
    const from = this.#member()
    if (!/^-[^\]]/.test(this.#source.slice(this.#at)))
      return this.#ignoreCase ? this.#folded(from, from, true) : codeText(from)
    this.#at += 1
    const to = this.#member()
    if (to < from) throw new Error('has a range out of order')
    return this.#ignoreCase ? this.#folded(from, to, true) : `${codeText(from)}-${codeText(to)}`
  }

  #take(length: number): string {
    const text = this.#source.slice(this.#at, this.#at + length)
    this.#at += length
    return text
  }

  #member(): number {
    if (this.#source[this.#at] === '\\') return this.#code()
    const code = this.#source.charCodeAt(this.#at)
    this.#at += 1
    return code
  }

  /** A range with the letters of the other case. */
  #folded(from: number, to: number, bare = false): string {
    const range = (low: number, high: number): string => (low > high ? '' : `${codeText(low)}-${codeText(high)}`)
    const upper = range(Math.max(from, 0x61) - 32, Math.min(to, 0x7a) - 32)
    const lower = range(Math.max(from, 0x41) + 32, Math.min(to, 0x5a) + 32)
    const items = `${range(from, to)}${upper}${lower}`
    return bare ? items : `[${items}]`
  }
}

function checked(code: number): number {
  if (code > 0xffff) throw new Error('has a character outside of the basic plane')
  return code
}

function codeText(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`
}
