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
import { untilDone } from '../until-aborted.ts'
import type { LogClient } from './log-client.ts'
import type { EncodedFetch } from './protocol.ts'
import { decodeBatch } from './record-batch.ts'

/** A Reader whose positions live with the log; batches are decoded here. Values are views into the buffer of their poll. */
export class EmbeddedReader implements Reader {
  readonly #client: LogClient
  readonly #session: number
  readonly #log: Pick<Log, 'error'>
  #closing: Promise<void> | undefined

  constructor(client: LogClient, session: number, log: Pick<Log, 'error'>) {
    this.#client = client
    this.#session = session
    this.#log = log
  }

  async assign(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void> {
    this.#assertOpen()
    await this.#client.call('assign', { session: this.#session, positions }, { signal })
  }

  async unassign(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
    signal: AbortSignal,
  ): Promise<void> {
    this.#assertOpen()
    await this.#client.call('unassign', { session: this.#session, partitions }, { signal })
  }

  async poll({ maxRecords, waitMs }: PollOptions, signal: AbortSignal): Promise<readonly PartitionFetch[]> {
    this.#assertOpen()
    const { fetches, data } = await this.#client.call(
      'poll',
      { session: this.#session, maxRecords, waitMs },
      { signal, onAbort: (poll) => this.#client.cancelPoll(this.#session, poll) },
    )
    const decoded = fetches.flatMap((fetch) => decodeFetch(fetch, data))
    for (const fetch of decoded) if (fetch.kind === 'undecodable') this.#report(fetch)
    return decoded
  }

  async close(signal: AbortSignal): Promise<void> {
    if (this.#client.refusing) return
    this.#closing ??= this.#client.call('closeSession', { session: this.#session }).then(() => undefined)
    await untilDone(this.#closing, signal)
  }

  #report({ topic, partition, offset, nextOffset, reason }: UndecodableBatch): void {
    this.#log.error(
      { topic, partition, offset, nextOffset, code: 'BATCH_UNDECODABLE', reason },
      'a batch of records cannot be read; reading goes on behind it',
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
  for (const { baseOffset, nextOffset: behind, timestamp, start, end } of fetch.batches) {
    const bytes = new Uint8Array(data, start, end - start)
    const before = records.length
    try {
      decodeBatch(bytes, { baseOffset, timestamp, fromOffset: position }, records)
    } catch (thrown) {
      records.length = before
      const offset = Math.max(baseOffset, position)
      if (records.length > 0) decoded.push({ kind: 'records', ...place, records, nextOffset: offset })
      const { message: reason } = toTapelineError(thrown)
      decoded.push({ kind: 'undecodable', ...place, offset, nextOffset: behind, bytes, reason })
      records = []
    }
    from = behind
  }
  if (records.length > 0 || from < nextOffset || decoded.length === 0)
    decoded.push({ kind: 'records', ...place, records, nextOffset })
  return decoded
}
