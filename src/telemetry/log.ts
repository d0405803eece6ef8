import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino'
import type { Log } from '../ports/log.ts'
import { redactText } from '../secrets.ts'
import { prettyLine } from './pretty-line.ts'
import { redactFields } from './redaction.ts'
import { createRepeats, type Repeats } from './repeats.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const STDERR = 2

export const LOG_FORMATS = ['pretty', 'json'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

let chosen: LogFormat | undefined

/** Chooses the format of all lines of this process from now on; undefined leaves it as it is. */
export function chooseLogFormat(format: LogFormat | undefined): void {
  chosen = format ?? chosen
}

/** How a log is written to standard error: as chosen, else for people on a terminal and for programs elsewhere. One format for all of a process's lines. */
export function logFormat(): LogFormat {
  return chosen ?? (process.stderr.isTTY === true ? 'pretty' : 'json')
}

interface LogOptions {
  /** The lowest level that is written; `silent` writes nothing. */
  readonly level: LogLevel
  /** One readable line an entry, for a terminal, instead of JSON. */
  readonly pretty?: boolean
  /** Where the lines go; standard error when left out, so that standard output stays free for results. */
  readonly sink?: DestinationStream
  /** Milliseconds of a steady clock, by which repeats are told. */
  readonly now?: () => number
}

/**
 * A log that writes one line an entry: JSON with `level`, `time` (ISO 8601), the fields and `msg`, or readable text.
 * Values of fields named key, apiKey, authorization and the like are replaced at any depth, and so are keys inside addresses.
 *
 * A line that comes again and again, whatever its fields are, is written 20 times a minute at most; `leftOut` then says how many were not. Debugging
 * shows all.
 */
export function createLog({
  level,
  pretty = false,
  sink = standardError(),
  now = () => performance.now(),
}: LogOptions): Log {
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
  return logOn(logger, createRepeats(now))
}

/** Written at once, so that the last lines before an exit or a kill are not lost. */
function standardError(): DestinationStream {
  return destination({ dest: STDERR, sync: true })
}

function logOn(logger: Logger, repeats: Repeats): Log {
  const write =
    (level: 'info' | 'warn' | 'error') =>
    (fields: object, message: string): void => {
      if (!logger.isLevelEnabled(level)) return
      repeats.admit(`${level} ${message}`, (leftOut) =>
        logger[level](leftOut === 0 ? fields : { ...fields, leftOut }, message),
      )
    }
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    // The library does not put a child's bindings through its formatters.
    child: (bindings) => logOn(logger.child(redactFields(bindings)), repeats),
  }
}
