import { z } from 'zod'
import { type ErrorCode, TapelineError } from '../../errors.ts'
import { DatabaseError } from './session.ts'

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

/** Classes of SQLSTATE that come and go by themselves: connection, conflict between transactions, resources, shutdown. */
const PASSING_CLASSES = ['08', '40', '53', '55', '57', '58']
/** Values that a table does not take. */
const DATA_CLASSES = ['22', '23']

/** States that say more than their class. */
const KNOWN_STATES: Readonly<Record<string, ErrorCode>> = {
  // query_canceled: statement_timeout
  '57014': 'TIMEOUT',
  // insufficient_privilege, and no schema to create in
  '42501': 'STORE_FORBIDDEN',
  '3F000': 'STORE_FORBIDDEN',
  [READ_ONLY_STATE]: 'STORE_UNAVAILABLE',
}

/**
 * What a failed write or claim means: FENCED and OFFSET_GOES_BACK with their partitions, EVENT_INVALID where the rows themselves are refused,
 * TIMEOUT, STORE_FORBIDDEN, STORE_UNAVAILABLE where trying again may help, INTERNAL for anything else. Other errors pass as
 * they are.
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
  return new TapelineError(writeCode(thrown.sqlState), described(thrown), { cause: thrown })
}

function writeCode(sqlState: string): ErrorCode {
  return DATA_CLASSES.includes(sqlState.slice(0, 2)) ? 'EVENT_INVALID' : generalCode(sqlState)
}

function generalCode(sqlState: string): ErrorCode {
  const passes = PASSING_CLASSES.includes(sqlState.slice(0, 2))
  return KNOWN_STATES[sqlState] ?? (passes ? 'STORE_UNAVAILABLE' : 'INTERNAL')
}

/**
 * What a failed statement of our own means: TIMEOUT, STORE_FORBIDDEN, STORE_UNAVAILABLE where trying again may help, else
 * INTERNAL.
 */
export function readError(thrown: unknown): unknown {
  if (!(thrown instanceof DatabaseError)) return thrown
  return new TapelineError(generalCode(thrown.sqlState), described(thrown), { cause: thrown })
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

const QUERY_CODES: Readonly<Record<string, ErrorCode>> = {
  // read_only_sql_transaction
  '25006': 'SQL_READ_ONLY',
  // protocol_violation: a statement with parameters, for which there are no values
  '08P01': 'SQL_INVALID',
  // query_canceled: statement_timeout
  '57014': 'TIMEOUT',
  // insufficient_privilege
  '42501': 'STORE_FORBIDDEN',
  // configuration_limit_exceeded (temp_file_limit), out_of_memory, disk_full
  '53400': 'SQL_TOO_LARGE',
  '53200': 'SQL_TOO_LARGE',
  '53100': 'SQL_TOO_LARGE',
}

/** A cursor refuses statements that write with codes that say less than their words. */
const CURSOR_REFUSALS = /must not contain data-modifying statements|INTO is not allowed here/

/**
 * What the refusal of an application's own statement means.
 */
export function queryError(thrown: unknown): unknown {
  if (!(thrown instanceof DatabaseError)) return thrown
  return new TapelineError(queryCode(thrown), described(thrown), { cause: thrown })
}

function queryCode({ sqlState, message }: DatabaseError): ErrorCode {
  const known = QUERY_CODES[sqlState]
  if (known !== undefined) return known
  if (CURSOR_REFUSALS.test(message)) return 'SQL_READ_ONLY'
  return PASSING_CLASSES.includes(sqlState.slice(0, 2)) ? 'STORE_UNAVAILABLE' : 'SQL_INVALID'
}

function described(error: DatabaseError): string {
  const at = error.position === undefined ? '' : `, at character ${error.position}`
  const detail = error.detail === undefined ? '' : `; ${error.detail}`
  return `The database says: ${error.message}${at}${detail} (${error.sqlState}).`
}
