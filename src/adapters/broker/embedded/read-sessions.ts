import type { Request } from '../../../async/thread.ts'
import { partitionKey } from '../../../domain/record.ts'
import type { Operations } from './protocol.ts'

interface ReadSession {
  readonly partitions: Set<string>
  /** The number of the last change that may have given it something to read. */
  changedAt: number
  /** After how many changes nothing was left to read; undefined where that is not known. */
  readUpTo: number | undefined
}

/** What the readers of a log read, and whether they have read everything, as far as the requests and answers that pass tell. */
export class ReadSessions {
  readonly #sessions = new Map<number, ReadSession>()
  /** Who reads a partition, by `topic:partition`. */
  readonly #readers = new Map<string, Set<number>>()

  all(): Iterable<number> {
    return this.#sessions.keys()
  }

  /** The sessions that read any of these partitions. */
  *readersOf(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Iterable<number> {
    for (const partition of partitions) yield* this.#readers.get(partitionKey(partition)) ?? []
  }

  hasReadAll(id: number): boolean {
    const session = this.#sessions.get(id)
    return session?.readUpTo !== undefined && session.readUpTo >= session.changedAt
  }

  /** An answer has come: after so many changes nothing was left to read. */
  read(id: number, readUpTo: number | undefined): void {
    const session = this.#sessions.get(id)
    if (session !== undefined) session.readUpTo = readUpTo
  }

  /** Something may be there to read after so many changes. */
  change(id: number, changes: number): void {
    const session = this.#sessions.get(id)
    if (session !== undefined) session.changedAt = changes
  }

  /** Takes in what a session is told. */
  follow(request: Request<Operations>): void {
    switch (request.op) {
      case 'cancelPoll':
        // What the answer held counts as not read.
        this.read(request.args.session, undefined)
        return
      case 'openSession':
        this.#sessions.set(request.args.session, { partitions: new Set(), changedAt: 0, readUpTo: undefined })
        return
      case 'assign':
        this.#assign(request.args.session, request.args.positions)
        return
      case 'unassign':
        this.#drop(request.args.session, request.args.partitions.map(partitionKey))
        return
      case 'closeSession':
        this.#drop(request.args.session, [...(this.#sessions.get(request.args.session)?.partitions ?? [])])
        this.#sessions.delete(request.args.session)
    }
  }

  /** What it is given to read it may not have read. */
  #assign(id: number, positions: readonly { readonly topic: string; readonly partition: number }[]): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    session.readUpTo = undefined
    for (const key of positions.map(partitionKey)) {
      session.partitions.add(key)
      const readers = this.#readers.get(key) ?? new Set()
      this.#readers.set(key, readers.add(id))
    }
  }

  #drop(id: number, keys: readonly string[]): void {
    for (const key of keys) {
      this.#sessions.get(id)?.partitions.delete(key)
      const readers = this.#readers.get(key)
      readers?.delete(id)
      if (readers?.size === 0) this.#readers.delete(key)
    }
  }
}
