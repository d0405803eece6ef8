import type { ErrorCode } from '../../errors.ts'

/** What a failure means: for writes of rows, for other statements of our own, and for statements of applications. */
interface Meaning {
  readonly write: ErrorCode
  readonly own: ErrorCode
  readonly query: ErrorCode
  readonly reason: string
}

/** Trying again may help. */
const passes = (reason: string): Meaning => ({
  write: 'STORE_UNAVAILABLE',
  own: 'STORE_UNAVAILABLE',
  query: 'STORE_UNAVAILABLE',
  reason,
})
/** Our own statements never cause it; those of applications may. */
const statement = (reason: string): Meaning => ({
  write: 'INTERNAL',
  own: 'INTERNAL',
  query: 'SQL_INVALID',
  reason,
})
/** A row that its table does not take; the others go on without it. */
const row = (reason: string): Meaning => ({ ...statement(reason), write: 'EVENT_INVALID' })
/** Somebody has to grant or correct something. */
const forbidden = (reason: string): Meaning => ({
  write: 'STORE_FORBIDDEN',
  own: 'STORE_FORBIDDEN',
  query: 'STORE_FORBIDDEN',
  reason,
})

/** Each class of SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const CLASSES: Readonly<Record<string, Meaning>> = {
  '00': statement('successful completion is no error'),
  '01': statement('a warning is no error'),
  '02': statement('no data is no error'),
  '03': statement('SQL statement not yet complete'),
  '08': passes('the connection, or what lies between'),
  '09': row('triggered action: a trigger of the owner refuses the row'),
  '0A': statement('feature not supported'),
  '0B': statement('invalid transaction initiation'),
  '0F': statement('locator'),
  '0L': forbidden('invalid grantor'),
  '0P': forbidden('invalid role specification'),
  '0Z': statement('diagnostics'),
  '10': statement('XQuery'),
  '20': statement('case not found'),
  '21': statement('cardinality violation'),
  '22': row('data exception: a value that its column does not take'),
  '23': row('integrity constraint: the owner of a table may have added one'),
  '24': statement('invalid cursor state'),
  '25': statement('invalid transaction state'),
  '26': statement('invalid statement name'),
  '27': row('triggered data change: a trigger of the owner refuses the row'),
  '28': forbidden('invalid authorization: at a login it is STORE_UNAUTHORIZED'),
  '2B': statement('dependent privilege descriptors'),
  '2D': statement('invalid transaction termination'),
  '2F': statement('SQL routine'),
  '34': statement('invalid cursor name'),
  '38': statement('external routine'),
  '39': statement('external routine invocation'),
  '3B': statement('savepoint'),
  '3D': {
    write: 'STORE_DATABASE_UNKNOWN',
    own: 'STORE_DATABASE_UNKNOWN',
    query: 'SQL_INVALID',
    reason: 'no such database',
  },
  '3F': forbidden('no schema to work in'),
  '40': passes('a conflict between transactions, or a deadlock'),
  '42': statement('syntax, or a name that does not exist'),
  '44': row('with check option: a view of the owner refuses the row'),
  '53': passes('resources: connections, memory, disk'),
  '54': row('a program limit: too large for a page or an index'),
  '55': passes('not in a state for it: locked, or being changed'),
  '57': passes('an operator: shut down, starting, ended'),
  '58': passes('the system below the database: files, input and output'),
  '72': passes('the snapshot is too old'),
  F0: passes("the server's configuration file is being changed"),
  HV: statement('foreign data'),
  P0: row('raised in PL/pgSQL: a trigger of the owner refuses the row'),
  XX: statement('an internal error of the server, or damaged data'),
}

/** States that say more than their class. */
export const STATES: Readonly<Record<string, Meaning>> = {
  '08P01': { ...passes('a statement with parameters, for which there are no values'), query: 'SQL_INVALID' },
  '25006': {
    ...passes('a write in a read-only transaction: the server is no primary any more'),
    query: 'SQL_READ_ONLY',
  },
  '42501': forbidden('insufficient privilege'),
  '53100': {
    write: 'STORE_FULL',
    own: 'STORE_FULL',
    query: 'SQL_TOO_LARGE',
    reason: 'no room on the disk; a query may have filled it',
  },
  '53200': {
    ...passes('no memory, or no locks left: a write of rows of many chunks takes a lock for each'),
    write: 'STORE_WRITE_TOO_LARGE',
    query: 'SQL_TOO_LARGE',
  },
  '53400': { ...passes('a configured limit, such as temp_file_limit'), query: 'SQL_TOO_LARGE' },
  '54023': statement('too many arguments'),
  '57014': { write: 'TIMEOUT', own: 'TIMEOUT', query: 'TIMEOUT', reason: 'the statement timeout' },
}

/** A state that no table knows: a newer server, or an extension. */
const UNKNOWN = statement('not in the list of PostgreSQL')

/** What an SQLSTATE means. */
export function meaningOf(sqlState: string): Meaning {
  return STATES[sqlState] ?? CLASSES[sqlState.slice(0, 2)] ?? UNKNOWN
}
