// The value parsers of configuration rows: text in, value or the reason of a refusal out. All pure.

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

export interface Parser<T> {
  /** How docs/CONFIG.md and errors name the type: `duration`, `integer from 1 to 64`. */
  readonly type: string
  parse(text: string): Parsed<T>
}

const accept = <T>(value: T): Parsed<T> => ({ ok: true, value })
const refuse = (reason: string): Parsed<never> => ({ ok: false, reason })

/** Quotes what was given, shortened: configuration may hold something long or secret by mistake. */
function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}

/** Any text that is not empty. */
export const string: Parser<string> = {
  type: 'text',
  parse: (text) => (text === '' ? refuse('must not be empty') : accept(text)),
}

/** A whole number in decimal, both limits included. */
export function integer(min: number, max: number): Parser<number> {
  const type = `integer from ${min} to ${max}`
  return {
    type,
    parse: (text) => {
      const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
      return value >= min && value <= max ? accept(value) : refuse(`must be an ${type}, not ${shown(text)}`)
    },
  }
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const durationPattern = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/

/** `250ms`, `10s`, `1h30m`, `0.5s`, `1d` as milliseconds, rounded. A number needs its unit. */
export const durationMs: Parser<number> = {
  type: 'duration',
  parse: (text) => {
    if (text === '0') return accept(0)
    if (text.length > 64 || !durationPattern.test(text)) {
      return refuse(`must be a duration such as 250ms, 10s, 1h30m, not ${shown(text)}`)
    }
    let total = 0
    for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
      total += Number(amount) * (units[unit ?? ''] ?? Number.NaN)
    }
    const value = Math.round(total)
    return Number.isSafeInteger(value) ? accept(value) : refuse(`${shown(text)} is too long a duration`)
  },
}

/** `unlimited` as Infinity, or what `parser` takes. */
export function unlimitedOr(parser: Parser<number>): Parser<number> {
  return {
    type: `${parser.type} or unlimited`,
    parse: (text) => (text === 'unlimited' ? accept(Number.POSITIVE_INFINITY) : parser.parse(text)),
  }
}

export const boolean: Parser<boolean> = {
  type: 'true or false',
  parse: (text) => {
    if (text === 'true') return accept(true)
    if (text === 'false') return accept(false)
    return refuse(`must be true or false, not ${shown(text)}`)
  },
}

/** One of the given words. */
export function enumOf<const T extends string>(words: readonly T[]): Parser<T> {
  return {
    type: words.join(' | '),
    parse: (text) => {
      const found = words.find((word) => word === text)
      return found === undefined ? refuse(`must be one of ${words.join(', ')}, not ${shown(text)}`) : accept(found)
    },
  }
}

/** A file or directory name, as given (relative to the working directory). */
export const path: Parser<string> = {
  type: 'path',
  parse: (text) => {
    if (text === '') return refuse('must not be empty')
    return text.includes('\u0000') ? refuse('must not contain a NUL character') : accept(text)
  },
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

const hostPortPattern = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/

/** `127.0.0.1:15000`, `[::1]:15000`, `control.example:15012`; port 0 means any free one. The host is not resolved. */
export const hostPort: Parser<HostPort> = {
  type: 'host:port',
  parse: (text) => {
    const match = hostPortPattern.exec(text)
    const port = Number(match?.[3])
    if (match === null || port > 65535) {
      return refuse(`must be host:port or [ipv6]:port, not ${shown(text)}`)
    }
    return accept(Object.freeze({ host: (match[1] ?? match[2])!, port }))
  },
}

/** Values separated by commas; blanks around them do not count, an empty text is the empty list. */
export function list<T>(item: Parser<T>): Parser<readonly T[]> {
  return {
    type: `list of ${item.type}`,
    parse: (text) => {
      const parts = text.split(',').map((part) => part.trim())
      const values: T[] = []
      if (text.trim() === '') return accept(values)
      for (const part of parts) {
        const parsed = item.parse(part)
        if (!parsed.ok) return parsed
        values.push(parsed.value)
      }
      return accept(values)
    },
  }
}

/** A list with at least one value; `what` says of what. */
export function someOf<T>(items: Parser<readonly T[]>, what: string): Parser<readonly T[]> {
  return {
    type: items.type,
    parse: (text) => {
      const parsed = items.parse(text)
      return parsed.ok && parsed.value.length === 0 ? refuse(`must name at least one ${what}`) : parsed
    },
  }
}
