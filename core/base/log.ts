// The log of a process: pino, one JSON object per line, written synchronously to a descriptor (stderr unless told otherwise)
// so that the last words of a dying process arrive. `app.ts` creates one and hands children of it down. Data workers, which
// write a line per connection, gather those of two turns of the event loop.
import { writeSync } from 'node:fs'
import { pino } from 'pino'
import { MeshError } from './errors.ts'

export type Logger = pino.Logger

interface LoggedError {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly stack?: string
  readonly cause?: LoggedError | string
}

const maxCauses = 8

/** An error as the log shows it. Expected errors (MeshError) carry no stack unless the log level is debug or lower. */
export function loggedError(error: unknown, withStack: boolean, depth = 0): LoggedError | string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : (JSON.stringify(error) ?? String(error))
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const stack = withStack || !(error instanceof MeshError) ? error.stack : undefined
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(stack === undefined ? {} : { stack }),
    ...(error.cause === undefined || depth >= maxCauses
      ? {}
      : { cause: loggedError(error.cause, withStack, depth + 1) }),
  }
}

/**
 * @param options.name the process, `daemon`, `agent`, `control` …
 * @param options.level `trace`, `debug`, `info` (default), `warn`, `error`, `fatal` or `silent`; may be changed on the result
 * @param options.fd descriptor to write to, 2 by default
 * @param options.gather lines below `error` leave together at the end of the next turn: one system call instead of one per line
 */
export function createLogger(options: { name: string; level?: string; fd?: number; gather?: boolean }): Logger {
  const serialize = (error: unknown) => loggedError(error, log.isLevelEnabled('debug'))
  const fd = options.fd ?? 2
  const stream: LevelledStream = options.gather === true ? gathered(fd) : pino.destination({ dest: fd, sync: true })
  const log: Logger = pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      base: { pid: process.pid },
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serialize, error: serialize },
    },
    stream,
  )
  // Children inherit it.
  return Object.assign(log, { [destination]: stream })
}

let stampedAt = 0
let stamp = ''

/** As pino's own; a line per connection needs a new text only once in a millisecond. */
function isoTime(): string {
  const now = Date.now()
  if (now !== stampedAt) {
    stampedAt = now
    stamp = `,"time":"${new Date(now).toISOString()}"`
  }
  return stamp
}

const gatheredCharacters = 16 * 1_024
const errorLevel = 50
/** A pipe whose reader is slow is waited for, as it is without gathering. */
const fullPipeWaitMs = 10

interface LevelledStream extends pino.DestinationStream {
  /** Set by pino before each line, because of `pino.metadata`. */
  lastLevel?: number
}

function gathered(fd: number): LevelledStream {
  let lines = ''
  const flush = (): void => {
    const text = lines
    lines = ''
    if (text !== '') writeAll(fd, Buffer.from(text))
  }
  process.on('exit', flush)
  const stream: LevelledStream = {
    write: (line) => {
      // After what this turn sends: nobody waits for a line.
      if (lines === '') setImmediate(setImmediate, flush)
      lines += line
      if ((stream.lastLevel ?? 0) >= errorLevel || lines.length >= gatheredCharacters) flush()
    },
  }
  return Object.assign(stream, { [Symbol.for('pino.metadata')]: true })
}

/** A log that cannot be written must not end the process. */
function writeAll(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error: unknown) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fullPipeWaitMs)
    }
  }
}

/** Where the lines of a logger of `createLogger`, and of its children, go. */
const destination = Symbol('destination')

/** Adds a line with the members of a JSON object, without its braces. */
export type LineWriter = (members: string) => void

/**
 * For lines that are made by the ten thousand: what they have in common is turned into text once, the rest by who knows it best (`quoted`).
 * They look like every other line of `log`, whose level is asked by the caller.
 */
export function lineWriter(log: Logger, level: 'info' | 'warn', message: string): LineWriter {
  const stream: LevelledStream | undefined = Reflect.get(log, destination)
  if (stream === undefined) return (members) => log[level](JSON.parse(`{${members}}`), message)
  const first = `{"level":"${level}"`
  // pino leaves the pid out of what it tells.
  const common = `"pid":${process.pid},${JSON.stringify(log.bindings()).slice(1, -1)}`
  const last = `,"msg":${JSON.stringify(message)}}\n`
  const value = log.levels.values[level]!
  return (members) => {
    stream.lastLevel = value
    stream.write(`${first}${isoTime()},${common},${members}${last}`)
  }
}

const plain = /^[ !#-[\]-~]*$/

/** The text as JSON has it. */
export function quoted(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** A logger that writes nothing, for tests and for callers that report in another way. */
export function nullLogger(): Logger {
  return pino({ level: 'silent' }, { write: () => {} })
}
