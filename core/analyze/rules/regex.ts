// Istio's regular expressions are RE2: no look-around, no back references, and they match the whole value. Pure.

interface RegexProblem {
  readonly message: string
  readonly remedy: string
}

const notInRe2: readonly (readonly [RegExp, string])[] = [
  [/\(\?<?[=!]/, 'look-ahead and look-behind'],
  [/(?<!\\)(?:\\\\)*\\[1-9]/, 'back references'],
  [/\(\?>/, 'atomic groups'],
  [/[*+?}]\+/, 'possessive quantifiers'],
]

/** Undefined where RE2 would take the expression. */
export function regexProblem(expression: string): RegexProblem | undefined {
  for (const [pattern, what] of notInRe2) {
    if (!pattern.test(expression)) continue
    return {
      message: `"${expression}" uses ${what}, which RE2 does not have`,
      remedy: 'write the match without it, or as several matches',
    }
  }
  try {
    // RE2 spells inline flags and named groups in other ways than JavaScript
    new RegExp(expression.replace(/^\(\?[imsU]+\)/, '').replace(/\(\?P</g, '(?<'), 'u')
    return undefined
  } catch {
    return looseProblem(expression)
  }
}

/** Escapes that only JavaScript's strict mode refuses are fine in RE2. */
function looseProblem(expression: string): RegexProblem | undefined {
  try {
    new RegExp(expression.replace(/^\(\?[imsU]+\)/, '').replace(/\(\?P</g, '(?<'))
    return undefined
  } catch (error: unknown) {
    const reason = error instanceof Error ? error.message.replace(/^.*: /, '').toLowerCase() : 'not readable'
    return {
      message: `"${expression}" is not a regular expression: ${reason}`,
      remedy: 'correct it; a literal . * + ? ( ) [ ] needs a backslash',
    }
  }
}
