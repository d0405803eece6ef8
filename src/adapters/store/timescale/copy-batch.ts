import type { Connection, Submittable } from 'pg'
import type { TransactionStep } from '../session.ts'
import { columnList } from '../staging.ts'

const COPY_DATA = 0x64
const COPY_DONE = 0x63

/** Larger ones make the server wait for the whole before it begins; smaller ones cost a header each. */
const FRAME_BYTES = 64 * 1024

/**
 * A transaction in one trip: one query message with all statements, COPY among them, and right after it the bytes that they
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
  readonly #copies: readonly (readonly Uint8Array[])[]

  constructor(steps: readonly TransactionStep[]) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.done = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#text = `begin; ${steps.map(statement).join('\n')}\ncommit;`
    this.#copies = steps.flatMap((step) => ('sql' in step ? [] : [step.pieces]))
  }

  submit(connection: Connection): void {
    const { stream } = connection
    stream.cork()
    connection.query(this.#text)
    for (const pieces of this.#copies) {
      for (const frame of pieces.flatMap(framesOf)) {
        stream.write(header(COPY_DATA, frame.length))
        stream.write(frame)
      }
      stream.write(header(COPY_DONE, 0))
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

function framesOf(piece: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(piece.length / FRAME_BYTES) }, (_, i) =>
    piece.subarray(i * FRAME_BYTES, (i + 1) * FRAME_BYTES),
  )
}

/** The kind of a message, and its length with the length itself. */
function header(kind: number, bytes: number): Buffer {
  const header = Buffer.allocUnsafe(5)
  header[0] = kind
  header.writeInt32BE(bytes + 4, 1)
  return header
}
