import { TapelineError } from '../../../errors.ts'
import { DatabaseError, records, type SqlSession } from '../session.ts'

/** out_of_memory of shared memory: no locks left. */
const OUT_OF_LOCKS = '53200'
/** A chunk, its index, and the same of its columnstore. */
const LOCKS_PER_CHUNK = 4
/** Statements over everything that may run at the same time. */
const STATEMENTS = 2
const DEFAULT = 64

/** What the server's locks suffice for. */
export interface LockBudget {
  /** Chunks of the largest hypertable, or partitions that somebody else made of a table. */
  readonly chunks: number
  /** `max_locks_per_transaction` as it is, and as it should be; all connections share what all may have. */
  readonly current: number
  readonly wanted: number
  readonly total: number
}

/** How many locks the server has, and how many statements over the largest table need. */
export async function lockBudget(session: SqlSession): Promise<LockBudget> {
  const [row] = records(
    await session.rows(`
      select current_setting('max_locks_per_transaction')::int as per,
        current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int as holders,
        (select coalesce(max(n), 0) from (select count(*) as n from pg_inherits group by inhparent) t) as chunks`),
  )
  const [current, holders, chunks] = ['per', 'holders', 'chunks'].map((key) => Number(row?.[key]))
  if (current === undefined || holders === undefined || chunks === undefined)
    throw new TapelineError('INTERNAL', 'the server does not say how many locks it has')
  const needed = (chunks * LOCKS_PER_CHUNK * STATEMENTS) / holders
  const wanted = Math.max(DEFAULT, 2 ** Math.ceil(Math.log2(Math.max(1, needed))))
  return { chunks, current, wanted, total: current * holders }
}

/** What to do about it, in one sentence; undefined where there are locks enough. */
export function lockRemedy({ chunks, current, wanted }: LockBudget): string | undefined {
  if (wanted <= current) return undefined
  return `Set max_locks_per_transaction of the server to ${wanted} (it is ${current}; the largest table has ${chunks} chunks) and start it again, or bound the times of statements; longer chunks (store.chunkInterval) need fewer.`
}

/** Does work. Where it fails because the server has no locks left, the error says what `max_locks_per_transaction` should be. */
export async function withLockAdvice<T>(session: SqlSession, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    if (!(thrown instanceof TapelineError) || !isOutOfLocks(thrown)) throw thrown
    const remedy = await lockBudget(session).then(lockRemedy, () => undefined)
    if (remedy === undefined) throw thrown
    throw new TapelineError(thrown.code, `${thrown.message} ${remedy}`, { cause: thrown, remedy })
  }
}

function isOutOfLocks({ cause }: TapelineError): boolean {
  return cause instanceof DatabaseError && cause.sqlState === OUT_OF_LOCKS
}
