import type { Connection, Submittable } from 'pg'
import type { SqlRows } from '../session.ts'

/**
 * The first rows of one statement, by the extended protocol: the server sends no more than were asked for, and each as it comes. A
 * FETCH from a cursor would gather all of its rows on the server before it sends the first
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY).
 *
 * The methods are those that `pg` calls for what arrives.
 */
export class FirstRows implements Submittable {
  readonly done: Promise<SqlRows>
  readonly #resolve: (rows: SqlRows) => void
  readonly #reject: (error: Error) => void
  readonly #text: string
  readonly #most: number
  readonly #rows: (string | null)[][] = []
  #columns: SqlRows['columns'] = []

  constructor(text: string, most: number) {
    const { promise, resolve, reject } = Promise.withResolvers<SqlRows>()
    this.done = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#text = text
    this.#most = most
  }

  submit(connection: Connection): void {
    const portal = ''
    connection.stream.cork()
    connection.parse({ name: '', text: this.#text, types: [] }, true)
    connection.bind({ portal, statement: '', binary: '', values: [] }, true)
    connection.describe({ type: 'P', name: portal }, true)
    connection.execute({ portal, rows: String(this.#most) }, true)
    connection.sync()
    connection.stream.uncork()
  }

  handleRowDescription({
    fields,
  }: {
    readonly fields: readonly { name: string; dataTypeID: number }[]
  }): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({ name, oid: dataTypeID }))
  }

  handleDataRow({ fields }: { readonly fields: (string | null)[] }): void {
    this.#rows.push(fields)
  }

  handleError(error: Error): void {
    this.#reject(error)
  }

  handleReadyForQuery(): void {
    this.#resolve({ columns: this.#columns, rows: this.#rows })
  }

  handlePortalSuspended(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
}
