// The log of a process: pino, one JSON object per line, written synchronously to a descriptor (stderr unless told otherwise)
// so that the last words of a dying process arrive. `app.ts` creates one and hands children of it down.
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
 */
export function createLogger(options: { name: string; level?: string; fd?: number }): Logger {
  const serialize = (error: unknown) => loggedError(error, log.isLevelEnabled('debug'))
  const log: Logger = pino(
    {
      name: options.name,
      level: options.level ?? 'info',
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serialize, error: serialize },
    },
    pino.destination({ dest: options.fd ?? 2, sync: true }),
  )
  return log
}

/** A logger that writes nothing, for tests and for callers that report in another way. */
export function nullLogger(): Logger {
  return pino({ level: 'silent' }, { write: () => {} })
}
