import type { Connection, Submittable } from 'pg'
import type { TransactionStep } from '../session.ts'
import { columnList } from '../staging.ts'

/** Larger ones make the server wait for the whole before it begins; smaller ones cost a header each. */
const FRAME_BYTES = 64 * 1024

/**
 * A transaction in one trip: one query message with all statements, COPY among them, and right behind it the bytes that they
 * ask for. Nothing waits for the server's word that it is ready to take them: what arrives for a COPY that never began, since a
 * statement before it failed, is dropped by the server
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY).
 *
 * The methods are those that `pg` calls for what arrives.
 */
export class CopyBatch implements Submittable {
  readonly done: Promise<void>
  readonly #resolve: () => void
  readonly #reject: (error: Error) => void
  readonly #text: string
  readonly #copies: readonly Uint8Array[]

  constructor(steps: readonly TransactionStep[]) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.done = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#text = `begin; ${steps.map(statement).join('\n')}\ncommit;`
    this.#copies = steps.flatMap((step) => ('sql' in step ? [] : [step.bytes]))
  }

  submit(connection: Connection): void {
    const { stream } = connection
    stream.cork()
    connection.query(this.#text)
    for (const bytes of this.#copies) {
      for (let at = 0; at < bytes.length; at += FRAME_BYTES) {
        const part = bytes.subarray(at, at + FRAME_BYTES)
        stream.write(header(0x64, part.length))
        stream.write(part)
      }
      stream.write(header(0x63, 0))
    }
    stream.uncork()
  }

  handleError(error: Error): void {
    this.#reject(error)
  }

  handleReadyForQuery(): void {
    this.#resolve()
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handleCopyInResponse(): void {}
}

function statement(step: TransactionStep): string {
  if ('sql' in step) return step.sql
  return `copy ${step.into} (${columnList(step.columns)}) from stdin with (format binary);`
}

/** Of CopyData (`d`) or CopyDone (`c`): the kind, and the length with itself. */
function header(kind: number, bytes: number): Buffer {
  const header = Buffer.allocUnsafe(5)
  header[0] = kind
  header.writeInt32BE(bytes + 4, 1)
  return header
}
