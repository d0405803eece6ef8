import { isReadOnly } from '../database-errors.ts'
import type { PgSession } from './pg-session.ts'

/** Work that writes. Drops the connection where the server takes no writes any more: the next one may lead to its successor. */
export async function onPrimary<T>(session: PgSession, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isReadOnly(error)) session.abort()
    throw error
  }
}
