import type { DatabaseSync } from 'node:sqlite'
import { type Reply, type Request, sentError } from '../../../async/thread.ts'
import { TapelineError, toTapelineError } from '../../../errors.ts'
import { BatchAppender } from './batch-appender.ts'
import { BatchStore } from './batch-store.ts'
import { type LogFile, openDatabase } from './database.ts'
import { FetchSession, type PollReplies } from './fetch-session.ts'
import { LogCleaner } from './log-cleaner.ts'
import { changesLog, type Operation, type Operations, type RequestOf } from './protocol.ts'
import { sqliteCode } from './sqlite-errors.ts'
import { TopicCatalog } from './topic-catalog.ts'

/** Sends a reply to the caller; buffers in `transfer` are handed over, not copied. */
export type SendReply = (reply: Reply, transfer: ArrayBuffer[]) => void

/**
 * The log: answers requests, each in turn. Writes that arrive together are gathered into one transaction, and answered when
 * it is durable. It runs in a worker thread, or within the caller's for logs in memory.
 */
export class LogServer {
  readonly #send: SendReply
  readonly #database: DatabaseSync
  readonly #catalog: TopicCatalog
  readonly #store: BatchStore
  readonly #appender: BatchAppender
  readonly #cleaner: LogCleaner
  readonly #pollReplies: PollReplies = {
    answer: (poll, fetched, isAll) =>
      this.#send({ id: poll, value: { ...fetched, readUpTo: isAll ? this.#changes : undefined } }, [
        fetched.data,
      ]),
    fail: (poll, error) => this.#fail(poll, error),
  }
  readonly #sessions = new Map<number, FetchSession>()
  #writes: RequestOf<'append' | 'commitPositions'>[] = []
  /** Changes that readers see. */
  #changes = 0
  #cleaning: { readonly steps: Generator<void>; readonly requests: number[] } | undefined

  /** Opens the log. Raises DATA_FOLDER_UNUSABLE. */
  constructor(file: LogFile, send: SendReply) {
    this.#send = send
    this.#database = openDatabase(file)
    this.#catalog = new TopicCatalog(this.#database)
    this.#store = new BatchStore(this.#database)
    this.#appender = new BatchAppender(this.#database, this.#catalog, this.#store)
    this.#cleaner = new LogCleaner(this.#database, this.#catalog)
  }

  receive({ id, op, args }: Request<Operations>): void {
    const request = { id, op, ...args } as RequestOf<Operation>
    switch (request.op) {
      case 'append':
      case 'commitPositions':
        if (this.#writes.push(request) === 1) setImmediate(() => this.#flush())
        return
      case 'poll':
        this.#poll(request)
        return
      case 'cancelPoll':
        this.#sessions.get(request.session)?.cancel(request.poll)
        return
      case 'clean':
        this.#clean(request)
        return
      default:
        this.#answer(request.id, () => this.#handle(request))
    }
  }

  /** Each request sees what was asked for before it. */
  #handle(
    request: RequestOf<Exclude<Operation, 'append' | 'commitPositions' | 'poll' | 'cancelPoll' | 'clean'>>,
  ): Operations[Operation]['reply'] {
    this.#flush()
    if (changesLog(request.op)) this.#changes++
    switch (request.op) {
      case 'createTopics':
        return this.#catalog.create(request.specs)
      case 'deleteTopics':
        for (const topic of this.#catalog.delete(request.topics)) {
          for (const { subscribers } of topic.partitions)
            for (const reader of subscribers) reader.notifyDeleted()
        }
        return null
      case 'listTopics':
        return this.#catalog.list(request.prefix)
      case 'describeTopics':
        return this.#catalog.describe(request.names)
      case 'offsetAt': {
        const partition = this.#catalog.partition(request.topic, request.partition)
        return this.#store.offsetAt(partition, request.timestamp)
      }
      case 'openSession':
        this.#sessions.set(request.session, new FetchSession(this.#store, this.#pollReplies))
        return null
      case 'assign': {
        const positions = request.positions.map(({ topic, partition, offset }) => ({
          partition: this.#catalog.partition(topic, partition),
          offset,
        }))
        this.#session(request.session).assign(positions)
        return null
      }
      case 'unassign': {
        const partitions = request.partitions.flatMap(
          ({ topic, partition }) => this.#catalog.find(topic, partition) ?? [],
        )
        this.#session(request.session).unassign(partitions)
        return null
      }
      case 'closeSession':
        this.#session(request.session).close()
        this.#sessions.delete(request.session)
        return null
      case 'close':
        return this.#close()
      default:
        return request satisfies never
    }
  }

  #session(id: number): FetchSession {
    const session = this.#sessions.get(id)
    if (session === undefined) throw new TapelineError('SHUTTING_DOWN', 'The reader is closed.')
    return session
  }

  #poll(request: RequestOf<'poll'>): void {
    try {
      if (!this.#session(request.session).poll(request)) {
        throw new TapelineError('INTERNAL', 'A reader polls one at a time.')
      }
    } catch (error) {
      this.#fail(request.id, error)
    }
  }

  #flush(): void {
    if (this.#writes.length === 0) return
    const writes = this.#writes
    this.#writes = []
    this.#changes += writes.filter(({ op }) => changesLog(op)).length
    for (const { id, outcome } of this.#appender.write(writes)) this.#answer(id, outcome)
  }

  /** A pass is done in steps, between which other requests are served. */
  #clean({ id, now }: RequestOf<'clean'>): void {
    if (this.#cleaning !== undefined) {
      this.#cleaning.requests.push(id)
      return
    }
    this.#cleaning = { steps: this.#cleaner.clean(now), requests: [id] }
    setImmediate(() => this.#cleanStep())
  }

  #cleanStep(): void {
    if (this.#cleaning === undefined) return
    const { steps, requests } = this.#cleaning
    try {
      if (!steps.next().done) {
        setImmediate(() => this.#cleanStep())
        return
      }
      for (const id of requests) this.#send({ id, value: null }, [])
    } catch (error) {
      for (const id of requests) this.#fail(id, error)
    }
    this.#cleaning = undefined
  }

  /** Waiting polls and a pass under way end; the write-ahead log is moved into the database. */
  #close(): null {
    for (const session of this.#sessions.values()) session.close()
    for (const id of this.#cleaning?.requests ?? []) this.#send({ id, value: null }, [])
    this.#cleaning = undefined
    try {
      this.#database.exec('pragma wal_checkpoint(truncate)')
    } finally {
      this.#database.close()
    }
    return null
  }

  #answer(id: number, work: () => Operations[Operation]['reply']): void {
    try {
      this.#send({ id, value: work() }, [])
    } catch (error) {
      this.#fail(id, error)
    }
  }

  #fail(id: number, thrown: unknown): void {
    this.#send({ id, error: sentError(toTapelineError(thrown, sqliteCode(thrown) ?? 'INTERNAL')) }, [])
  }
}
