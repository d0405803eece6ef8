import { TapelineError } from '../../../errors.ts'
import type {
  PartitionFetch,
  PollOptions,
  Reader,
  ReadPosition,
  StoredRecord,
} from '../../../ports/broker.ts'
import { untilDone } from '../until-aborted.ts'
import type { LogClient } from './log-client.ts'
import type { EncodedFetch } from './protocol.ts'
import { decodeBatch } from './record-batch.ts'

/** A Reader whose positions live with the log; batches are decoded here. Values are views into the buffer of their poll. */
export class EmbeddedReader implements Reader {
  readonly #client: LogClient
  readonly #session: number
  #closing: Promise<void> | undefined

  constructor(client: LogClient, session: number) {
    this.#client = client
    this.#session = session
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
    return fetches.map((fetch) => decodeFetch(fetch, data))
  }

  async close(signal: AbortSignal): Promise<void> {
    if (this.#client.refusing) return
    this.#closing ??= this.#client.call('closeSession', { session: this.#session }).then(() => undefined)
    await untilDone(this.#closing, signal)
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new TapelineError('SHUTTING_DOWN', 'The reader is closed.')
  }
}

function decodeFetch(fetch: EncodedFetch, data: ArrayBuffer): PartitionFetch {
  if (fetch.kind !== 'records') return fetch
  const { kind, topic, topicId, partition, position, nextOffset, endOffset } = fetch
  const records: StoredRecord[] = []
  for (const { baseOffset, timestamp, start, end } of fetch.batches) {
    decodeBatch(
      new Uint8Array(data, start, end - start),
      { baseOffset, timestamp, fromOffset: position },
      records,
    )
  }
  return { kind, topic, topicId, partition, records, nextOffset, endOffset }
}
