import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import type { Log } from '../ports/log.ts'
import { prettyLine } from './pretty-line.ts'
import { redactFields } from './redaction.ts'
import { redactText } from './secrets-in-text.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const STDERR = 2

/** How a log is written to standard error: for people on a terminal, for programs elsewhere. One format for all of a process's lines. */
export function logFormat(): 'pretty' | 'json' {
  return process.stderr.isTTY === true ? 'pretty' : 'json'
}

interface LogOptions {
  /** The lowest level that is written; `silent` writes nothing. */
  readonly level: LogLevel
  /** One readable line an entry, for a terminal, instead of JSON. */
  readonly pretty?: boolean
  /** Where the lines go; standard error when left out, so that standard output stays free for results. */
  readonly sink?: DestinationStream
}

/**
 * A log that writes one line an entry: JSON with `level`, `time` (ISO 8601), the fields and `msg`, or readable text.
 * Values of fields named key, apiKey, authorization and the like are replaced at any depth, and so are keys inside addresses.
 */
export function createLog({ level, pretty = false, sink = standardError() }: LogOptions): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      hooks: { streamWrite: redactText },
      // redactFields has turned errors into plain objects already.
      serializers: { err: (err) => err },
    },
    pretty ? { write: (line) => sink.write(prettyLine(line)) } : sink,
  )
  return logOn(logger)
}

/** Written at once, so that the last lines before an exit or a kill are not lost. */
function standardError(): DestinationStream {
  return destination({ dest: STDERR, sync: true })
}

function logOn(logger: Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    // The library does not put a child's bindings through its formatters.
    child: (bindings) => logOn(logger.child(redactFields(bindings))),
  }
}
