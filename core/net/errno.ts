// Which system error is behind an error: `EADDRINUSE` and the like, of sys.ts and of Node alike. Used wherever a decision hangs
// on it, since messages are for people.

/** The error name, through any chain of causes; undefined where no system error is behind it. */
export function errnoOf(error: unknown): string | undefined {
  for (let current = error, depth = 0; current instanceof Error && depth < 8; current = current.cause, depth += 1) {
    if ('errno' in current && 'code' in current && typeof current.code === 'string') return current.code
  }
  return undefined
}
