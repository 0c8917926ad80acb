// What the layers of the waypoint see of a message, whatever protocol it came over: made by the codecs (http1/, http2/), changed
// by layers, written by a codec again. A head is plain data; `Headers` is the only place where a field gets in, and it lets
// nothing in that a writer could not send.
import { HttpError } from './error.ts'

/** RFC 9110 5.6.2. Asked before the name is put in lower case: that makes an ASCII `k` of U+212A. */
const namePattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** RFC 9110 5.5: no control character but HTAB, each character one byte. */
const badValue = /[^\t\x20-\x7e\x80-\xff]/

/** Fields that several heads have in common: never changed, and what was made of them is kept. */
export class FieldList {
  readonly flat: readonly string[]
  /** As HTTP/1.1 writes them. */
  lines: string | undefined
  /** Without the hop-by-hop ones, by who protects fields from being nominated. */
  stripped: { readonly protect: unknown; readonly list: FieldList } | undefined

  constructor(flat: readonly string[]) {
    this.flat = flat
  }
}

/**
 * Fields in the order in which they came, repeated ones kept apart, names in lower case. Values are bytes read as latin1.
 * Methods take names in any case. The list is short: looking through it is faster than a Map, and allocates nothing.
 */
export class Headers {
  #fields: string[]
  /** Whose fields these are, until the first change. */
  #list: FieldList | undefined

  /** `fields` are `[name, value, name, value, …]`. Throws HttpError `unsendable` for a name or value that no writer may send. */
  constructor(fields: readonly string[] = []) {
    this.#fields = []
    for (let at = 0; at < fields.length; at += 2) this.add(fields[at]!, fields[at + 1] ?? '')
  }

  /** Takes the array over without a look at it. Only for codecs, whose scanner has checked every byte. */
  static scanned(fields: string[]): Headers {
    const headers = new Headers()
    headers.#fields = fields
    return headers
  }

  static shared(list: FieldList): Headers {
    const headers = new Headers()
    headers.share(list)
    return headers
  }

  /** Takes the place of all that there is. */
  share(list: FieldList): void {
    // Copied before the first change.
    this.#fields = list.flat as string[]
    this.#list = list
  }

  /** The list that these fields are, if they are one that was shared and not changed since. */
  get list(): FieldList | undefined {
    return this.#list
  }

  /** Before a change. */
  #own(): string[] {
    if (this.#list !== undefined) {
      this.#fields = this.#fields.slice()
      this.#list = undefined
    }
    return this.#fields
  }

  /** `[name, value, name, value, …]`, alive: for writers and for walking through all fields. */
  get flat(): readonly string[] {
    return this.#fields
  }

  get count(): number {
    return this.#fields.length >> 1
  }

  /** The first value; undefined where there is none. */
  get(name: string): string | undefined {
    const fields = this.#fields
    const wanted = name.toLowerCase()
    for (let at = 0; at < fields.length; at += 2) if (fields[at] === wanted) return fields[at + 1]
    return undefined
  }

  /** All values, in order. */
  all(name: string): readonly string[] {
    const fields = this.#fields
    const wanted = name.toLowerCase()
    const values: string[] = []
    for (let at = 0; at < fields.length; at += 2) if (fields[at] === wanted) values.push(fields[at + 1]!)
    return values
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  /** Puts one value in the place of all that there are, where the first of them stood, otherwise at the end. */
  set(name: string, value: string): void {
    const [wanted, checked] = checkedField(name, value)
    this.setChecked(wanted, checked)
  }

  add(name: string, value: string): void {
    const [wanted, checked] = checkedField(name, value)
    this.addChecked(wanted, checked)
  }

  /** As `set`, without a look at either: for a name in lower case and a value that `checkedField` has returned or a codec has read. */
  setChecked(name: string, value: string): void {
    const fields = this.#own()
    for (let at = 0; at < fields.length; at += 2) {
      if (fields[at] !== name) continue
      fields[at + 1] = value
      this.#remove(name, at + 2)
      return
    }
    fields.push(name, value)
  }

  /** As `add`, likewise. */
  addChecked(name: string, value: string): void {
    this.#own().push(name, value)
  }

  /** Removes all whose name, in lower case, is one of these. */
  deleteAll(names: ReadonlySet<string>): void {
    const fields = this.#own()
    let kept = 0
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at]!
      if (names.has(name)) continue
      fields[kept] = name
      fields[kept + 1] = fields[at + 1]!
      kept += 2
    }
    fields.length = kept
  }

  /** Removes all of that name; true where there was one. */
  delete(name: string): boolean {
    return this.#remove(name.toLowerCase(), 0)
  }

  copy(): Headers {
    return this.#list === undefined ? Headers.scanned(this.#fields.slice()) : Headers.shared(this.#list)
  }

  #remove(wanted: string, from: number): boolean {
    const fields = this.#list?.flat.includes(wanted) ? this.#own() : this.#fields
    let kept = from
    for (let at = from; at < fields.length; at += 2) {
      if (fields[at] === wanted) continue
      if (kept !== at) {
        fields[kept] = fields[at]!
        fields[kept + 1] = fields[at + 1]!
      }
      kept += 2
    }
    if (kept === fields.length) return false
    fields.length = kept
    return true
  }
}

/**
 * A name and a value as writers may send them. Throws HttpError `unsendable` for others: a character beyond 255 would lose its upper half
 * on the way out, so that U+010A becomes LF.
 */
export function checkedField(name: string, value: string): readonly [string, string] {
  if (!namePattern.test(name)) throw new HttpError(500, 'unsendable', `${JSON.stringify(name)} is no name of a field`)
  const lower = name.toLowerCase()
  if (badValue.test(value))
    throw new HttpError(500, 'unsendable', `the value of ${lower} has a character that cannot be sent`)
  return [lower, trimmed(value)]
}

/** A reader trims; so what is written reads back as what it was. */
function trimmed(value: string): string {
  const ends = /^[\t ]|[\t ]$/
  return ends.test(value) ? value.replace(/^[\t ]+/, '').replace(/[\t ]+$/, '') : value
}

export interface RequestHead {
  method: string
  scheme: string
  /** `host` or `host:port`, never empty, never with user information. The one truth: `headers` has no `host`. */
  authority: string
  /** Origin form with the query, or `*`: the very bytes that are forwarded. Without a fragment. */
  path: string
  readonly headers: Headers
}

export interface ResponseHead {
  /** 100–599. */
  status: number
  readonly headers: Headers
}
