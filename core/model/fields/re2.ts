// Tells what RE2 would refuse of a regular expression, as far as that can be told without its parser: JavaScript's parser takes
// care of brackets and repetitions, this file of what the two write in different ways. string-match.ts asks.

/** What only JavaScript knows, or only Perl; each with its name. */
const foreign: readonly (readonly [RegExp, string])[] = [
  [/^\(\?<?[=!]/, 'look-ahead or look-behind'],
  [/^\(\?>/, 'atomic groups'],
  [/^\(\?P?=/, 'back references'],
  [/^\\[1-9]/, 'back references'],
  [/^\\k/, 'back references'],
  [/^\(\?\(/, 'conditions'],
  [/^\(\?#/, 'comments'],
]

/** What RE2 writes in another way than JavaScript, and what to put in its place: also in sets, in sets only, outside of them. */
type Table = readonly (readonly [RegExp, string])[]
const letters: Table = [
  [/^\\x\{[0-9A-Fa-f]{1,8}\}/, 'x'],
  [/^\\[pP](?:\{\^?\w+\}|[A-Z])/, 'p'],
  [/^\\a/, 'a'],
]
const inSets: Table = [...letters, [/^\[:\^?[a-z]+:\]/, 'c']]
const outside: Table = [
  ...letters,
  [/^\\Q[\s\S]*?(?:\\E|$)/, 'q'],
  [/^\\[AzC]/, '.'],
  [/^\(\?P</, '(?<'],
  [/^\(\?[imsU]*(?:-[imsU]+)?\)/, '(?:)'],
  [/^\(\?[imsU]*(?:-[imsU]+)?:/, '(?:'],
]

/** Escapes of letters that mean the same in both. */
const shared = /^\\(?:[dDsSwWbBfnrtv]|x[0-9A-Fa-f]{2}|0[0-7]{0,2})/
const mostRepetitions = 1000

/** What is wrong with the expression, in words that follow its name; undefined where RE2 would take it. */
export function foreignToRe2(expression: string): string | undefined {
  let translated = ''
  let inSet = false
  for (let at = 0; at < expression.length; ) {
    const rest = expression.slice(at)
    const wrong = inSet ? undefined : (foreignPart(rest) ?? repetition(rest))
    if (wrong !== undefined) return wrong
    const [text, instead] = nextPart(rest, inSet)
    if (instead === undefined) return `has the escape ${text}, which RE2 does not know; write the letter without "\\"`
    if (inSet ? text === ']' : text.startsWith('[')) inSet = !inSet
    translated += instead
    at += text.length
  }
  return unreadable(translated)
}

function foreignPart(rest: string): string | undefined {
  const name = foreign.find(([pattern]) => pattern.test(rest))?.[1]
  if (name === undefined) return undefined
  return `uses ${name}, which RE2 does not have; write the match without it, or as several`
}

function repetition(rest: string): string | undefined {
  const [, least = '0', most = least] = /^\{(\d+)(?:,(\d*))?\}/.exec(rest) ?? []
  if (Math.max(Number(least), Number(most)) <= mostRepetitions) return undefined
  return `repeats more than ${mostRepetitions} times, which RE2 refuses; write + or *`
}

/** The next part of an expression, with what JavaScript writes for it; undefined for an escape that RE2 does not have. */
function nextPart(rest: string, inSet: boolean): readonly [string, string | undefined] {
  // a "]" that comes first in a set is one of its letters
  const opened = inSet ? undefined : /^\[\^?\]?/.exec(rest)?.[0]
  if (opened !== undefined) return [opened, opened.replace(']', '\\]')]
  for (const [pattern, instead] of inSet ? inSets : outside) {
    const text = pattern.exec(rest)?.[0]
    if (text !== undefined) return [text, instead]
  }
  const common = shared.exec(rest)?.[0]
  if (common !== undefined) return [common, common]
  // JavaScript reads a "[" in a set as itself, as RE2 does
  if (rest[0] !== '\\') return [rest[0]!, rest[0]!]
  const text = rest.slice(0, 2)
  return [text, /^\\[A-Za-z0-9]/.test(text) ? undefined : text]
}

function unreadable(expression: string): string | undefined {
  try {
    new RegExp(expression)
    return undefined
  } catch (error: unknown) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '').toLowerCase() : 'not readable'
    return `is not a regular expression: ${reason}; correct it, a literal . * + ? ( ) [ ] needs a "\\"`
  }
}
