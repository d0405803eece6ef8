import { z } from 'zod'
import { type ErrorCode, TapelineError } from '../../errors.ts'
import { DatabaseError } from './session.ts'
import { meaningOf } from './sql-states.ts'

/** read_only_sql_transaction: of a write, it says that the server is no primary any more. */
const READ_ONLY_STATE = '25006'

/** too_many_connections */
const TOO_MANY_CONNECTIONS = '53300'

/** Raised by `tapeline_advance` (migration 6); their detail names the partitions. */
const ADVANCE_STATES: Readonly<Record<string, readonly [ErrorCode, (names: string) => string]>> = {
  TL001: ['FENCED', (names) => `The claim of ${names} is no longer valid.`],
  TL002: ['OFFSET_GOES_BACK', (names) => `The offset of ${names} would go back.`],
}

const Partitions = z.array(z.object({ topic: z.string(), partition: z.number() }))

/**
 * What a failed write or claim means: FENCED and OFFSET_GOES_BACK with their partitions, EVENT_INVALID where the rows themselves are
 * refused, STORE_WRITE_TOO_LARGE where fewer would do, STORE_FULL, TIMEOUT, STORE_FORBIDDEN, STORE_UNAVAILABLE where trying again may
 * help, INTERNAL for anything else. Other errors pass as they are.
 */
export function writeError(thrown: unknown): unknown {
  if (!(thrown instanceof DatabaseError)) return thrown
  const refusal = ADVANCE_STATES[thrown.sqlState]
  if (refusal !== undefined) {
    const [code, describe] = refusal
    const partitions = Partitions.parse(JSON.parse(thrown.detail ?? '[]'))
    const names = partitions.map(({ topic, partition }) => `${topic}:${partition}`).join(', ')
    return new TapelineError(code, describe(names), { cause: thrown, partitions })
  }
  return new TapelineError(meaningOf(thrown.sqlState).write, described(thrown), { cause: thrown })
}

/**
 * What a failed statement of our own means: TIMEOUT, STORE_FORBIDDEN, STORE_UNAVAILABLE where trying again may help, else
 * INTERNAL.
 */
export function readError(thrown: unknown): unknown {
  if (!(thrown instanceof DatabaseError)) return thrown
  return new TapelineError(meaningOf(thrown.sqlState).own, described(thrown), { cause: thrown })
}

/** Whether a write failed since the server takes none: the connection must go, to find the new primary. */
export function isReadOnly(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  const { cause } = thrown
  return cause instanceof DatabaseError && cause.sqlState === READ_ONLY_STATE
}

/** Whether a connection was refused since the server has as many as it takes. */
export function isCrowded(thrown: unknown): boolean {
  const cause = thrown instanceof Error ? thrown.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === TOO_MANY_CONNECTIONS
}

/** A cursor refuses statements that write with codes that say less than their words. */
const CURSOR_REFUSALS = /must not contain data-modifying statements|INTO is not allowed here/

/** What the refusal of an application's own statement means. */
export function queryError(thrown: unknown): unknown {
  if (!(thrown instanceof DatabaseError)) return thrown
  return new TapelineError(queryCode(thrown), described(thrown), { cause: thrown })
}

function queryCode({ sqlState, message }: DatabaseError): ErrorCode {
  return CURSOR_REFUSALS.test(message) ? 'SQL_READ_ONLY' : meaningOf(sqlState).query
}

function described(error: DatabaseError): string {
  const at = error.position === undefined ? '' : `, at character ${error.position}`
  const detail = error.detail === undefined ? '' : `; ${error.detail}`
  return `The database says: ${error.message}${at}${detail} (${error.sqlState}).`
}
