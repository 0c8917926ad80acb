// What is wrong with a resource, and where: a path inside the object and, for manifests, file, line and column.
import type { Path, ProblemReason } from './fields/field.ts'

export interface Problem {
  readonly file?: string
  /** From 1. */
  readonly line?: number
  /** From 1. */
  readonly column?: number
  /** `spec.rules[0].from[0].source.principals[1]`; empty for the whole object. */
  readonly path: string
  readonly message: string
  /** The same path in parts. */
  readonly at?: Path
  /** Why, for programs: the cause in a Kubernetes Status. */
  readonly reason?: ProblemReason
}

const plainKey = /^[A-Za-z_][A-Za-z0-9_-]*$/

/** `a.b[0]["c/d"]`. */
export function formatPath(path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (!plainKey.test(part)) text += `[${JSON.stringify(part)}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}

export function problemAt(at: Path, message: string, reason: ProblemReason = 'invalid'): Problem {
  return { path: formatPath(at), message, at, reason }
}

/** `file:line:column: path: message`, leaving out what is not known. */
export function formatProblem(problem: Problem): string {
  const position = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(':')
  return [position, problem.path, problem.message].filter((part) => part !== '').join(': ')
}
