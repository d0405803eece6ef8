import { untilAborted, untilDone } from '../../../async/abort.ts'
import type { ThreadClient } from '../../../async/thread-client.ts'
import { partitionKey } from '../../../domain/record.ts'
import { TapelineError, toTapelineError } from '../../../errors.ts'
import type {
  PartitionFetch,
  PollOptions,
  Reader,
  ReadPosition,
  StoredRecord,
  UndecodableBatch,
} from '../../../ports/broker.ts'
import type { Log } from '../../../ports/log.ts'
import { abortReason } from '../abort-reason.ts'
import type { EncodedFetch, Operations } from './protocol.ts'
import { decodeBatch } from './record-batch.ts'

/**
 * A Reader whose positions live with the log; batches are decoded here. Values are views into the buffer of their poll. Where the
 * thread of the log has ended, it begins again where the last answer left off.
 */
export class EmbeddedReader implements Reader {
  readonly #client: ThreadClient<Operations>
  readonly #session: number
  readonly #log: Pick<Log, 'error'>
  /** Where the reader stands after the answers that have come, by `topic:partition`. */
  readonly #positions = new Map<string, ReadPosition>()
  /** The life of the log in which the session was opened. */
  #life: number
  #restoring: Promise<void> | undefined
  /** Topics that were gone when the reader began again. */
  #gone: string[] = []
  #closing: Promise<void> | undefined

  constructor(client: ThreadClient<Operations>, session: number, log: Pick<Log, 'error'>) {
    this.#client = client
    this.#session = session
    this.#log = log
    this.#life = client.lives
  }

  async assign(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void> {
    await this.#opened(signal)
    await this.#client.call('assign', { session: this.#session, positions }, { signal })
    for (const position of positions) this.#positions.set(partitionKey(position), { ...position })
  }

  async unassign(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
    signal: AbortSignal,
  ): Promise<void> {
    await this.#opened(signal)
    await this.#client.call('unassign', { session: this.#session, partitions }, { signal })
    for (const partition of partitions) this.#positions.delete(partitionKey(partition))
  }

  async poll({ maxRecords, waitMs }: PollOptions, signal: AbortSignal): Promise<readonly PartitionFetch[]> {
    await this.#opened(signal)
    if (this.#gone.length > 0)
      return this.#gone.splice(0).map((topic): PartitionFetch => ({ kind: 'deleted', topic }))
    const { fetches, data } = await this.#client.call(
      'poll',
      { session: this.#session, maxRecords, waitMs },
      { signal, onAborted: (poll) => this.#client.tell('cancelPoll', { session: this.#session, poll }) },
    )
    const decoded = fetches.flatMap((fetch) => decodeFetch(fetch, data))
    for (const fetch of decoded) this.#follow(fetch)
    return decoded
  }

  async close(signal: AbortSignal): Promise<void> {
    if (this.#client.refusing) return
    this.#closing ??= this.#close()
    await untilDone(this.#closing, signal)
  }

  /** In another life of the log there is nothing to close. */
  async #close(): Promise<void> {
    await this.#restoring?.catch(() => undefined)
    if (this.#life === this.#client.lives && this.#client.isAlive)
      await this.#client.call('closeSession', { session: this.#session })
  }

  /** Takes note of how far an answer came. */
  #follow(fetch: PartitionFetch): void {
    if (fetch.kind === 'deleted') {
      for (const [key, { topic }] of this.#positions) if (topic === fetch.topic) this.#positions.delete(key)
      return
    }
    if (fetch.kind === 'undecodable') this.#report(fetch)
    const { topic, partition } = fetch
    const offset = fetch.kind === 'truncated' ? fetch.earliest : fetch.nextOffset
    const key = partitionKey(fetch)
    if (this.#positions.has(key)) this.#positions.set(key, { topic, partition, offset })
  }

  /** Raises SHUTTING_DOWN where the reader is closed; begins again where the log was opened anew. */
  async #opened(signal: AbortSignal): Promise<void> {
    this.#assertOpen()
    if (this.#client.isAlive && this.#life === this.#client.lives) return
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined
    })
    await untilAborted(this.#restoring, signal, abortReason)
    this.#assertOpen()
  }

  async #restore(): Promise<void> {
    await this.#client.revive()
    const life = this.#client.lives
    await this.#client.call('openSession', { session: this.#session })
    for (const position of [...this.#positions.values()]) {
      try {
        await this.#client.call('assign', { session: this.#session, positions: [position] })
      } catch (error) {
        if (toTapelineError(error).code !== 'TOPIC_UNKNOWN') throw error
        this.#positions.delete(partitionKey(position))
        if (!this.#gone.includes(position.topic)) this.#gone.push(position.topic)
      }
    }
    this.#life = life
  }

  #report({ topic, partition, offset, nextOffset, reason }: UndecodableBatch): void {
    this.#log.error(
      { topic, partition, offset, nextOffset, code: 'BATCH_UNDECODABLE', reason },
      'a batch of records cannot be read; reading goes on after it',
    )
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new TapelineError('SHUTTING_DOWN', 'The reader is closed.')
  }
}

/** What was fetched of one partition: records, in parts where a batch in between cannot be decoded. */
function decodeFetch(fetch: EncodedFetch, data: ArrayBuffer): PartitionFetch[] {
  if (fetch.kind !== 'records') return [fetch]
  const { topic, topicId, partition, position, nextOffset, endOffset } = fetch
  const place = { topic, topicId, partition, endOffset }
  const decoded: PartitionFetch[] = []
  let records: StoredRecord[] = []
  let from = position
  for (const { baseOffset, nextOffset: next, timestamp, start, end } of fetch.batches) {
    const bytes = new Uint8Array(data, start, end - start)
    const before = records.length
    try {
      decodeBatch(bytes, { baseOffset, timestamp, fromOffset: position }, records)
    } catch (thrown) {
      records.length = before
      const offset = Math.max(baseOffset, position)
      if (records.length > 0) decoded.push({ kind: 'records', ...place, records, nextOffset: offset })
      const { message: reason } = toTapelineError(thrown)
      decoded.push({ kind: 'undecodable', ...place, offset, nextOffset: next, bytes, reason })
      records = []
    }
    from = next
  }
  if (records.length > 0 || from < nextOffset || decoded.length === 0)
    decoded.push({ kind: 'records', ...place, records, nextOffset })
  return decoded
}
