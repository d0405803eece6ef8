import { ThreadClient } from '../../../async/thread-client.ts'
import { startInterval, type Timer } from '../../../async/timers.ts'
import { TapelineError, toTapelineError } from '../../../errors.ts'
import type {
  Broker,
  GroupMember,
  GroupOptions,
  PartitionAck,
  PartitionRecords,
  Reader,
  ReadPosition,
  TopicDescription,
  TopicIdentity,
  TopicSpec,
  TransactionalWriter,
} from '../../../ports/broker.ts'
import type { Log } from '../../../ports/log.ts'
import { abortReason } from '../abort-reason.ts'
import { SendWindow } from '../send-window.ts'
import { ByteWriter } from './bytes.ts'
import type { LogChannel } from './channel.ts'
import { EmbeddedReader } from './embedded-reader.ts'
import { PartitionGroup } from './partition-group.ts'
import type { EncodedEntry, Operations } from './protocol.ts'
import { encodeBatches } from './record-batch.ts'

const MAX_RECORD_BYTES = 1024 * 1024
/** Enough, with its value, for a record that shares its key and headers with others; the buffer grows where it is not. */
const RECORD_OVERHEAD_BYTES = 24
/** A log that has answered something so lately need not be asked whether it is there. */
const LATELY_MS = 250

export interface EmbeddedBrokerOptions {
  readonly channel: LogChannel
  /** Opens the log again when its thread has ended; without it the broker is gone then. */
  readonly reopen?: () => Promise<LogChannel>
  /** The clock that publication times and retention go by, in milliseconds. */
  readonly now: () => number
  readonly cleanEveryMs: number | undefined
  readonly log: Pick<Log, 'error'>
  /** Called once, when the log has been closed. */
  readonly onClosed: () => void
}

/** The caller's side of the embedded broker: encodes, decodes, and asks the log. */
export class EmbeddedBroker implements Broker {
  readonly #client: ThreadClient<Operations>
  readonly #now: () => number
  readonly #log: Pick<Log, 'error'>
  readonly #onClosed: () => void
  readonly #window = new SendWindow()
  readonly #groups = new Map<string, PartitionGroup>()
  readonly #cleanTimer: Timer | undefined
  /** The highest epoch of each transactional id: the one that may write. One process has the log, so nobody else knows better. */
  readonly #writers = new Map<string, number>()
  #lastSession = 0
  #closed: Promise<void> | undefined

  constructor({ channel, reopen, now, cleanEveryMs, log, onClosed }: EmbeddedBrokerOptions) {
    this.#client = new ThreadClient<Operations>({
      channel,
      reopen: reopen && (() => reopened(reopen, log)),
      unavailable,
      closed: 'The broker is closed.',
      isGivenUp: (op) => op === 'poll',
      reasonOf: abortReason,
      onEnd: (error) => log.error({ err: error }, 'the thread of the log has ended; it is opened again'),
    })
    this.#now = now
    this.#log = log
    this.#onClosed = onClosed
    if (cleanEveryMs !== undefined) {
      this.#cleanTimer = startInterval(() => this.#clean(), cleanEveryMs)
      this.#cleanTimer.unref()
    }
  }

  createTopics(specs: readonly TopicSpec[], signal: AbortSignal): Promise<readonly TopicDescription[]> {
    return this.#client.call('createTopics', { specs }, { signal })
  }

  async deleteTopics(topics: readonly TopicIdentity[], signal: AbortSignal): Promise<void> {
    await this.#client.call('deleteTopics', { topics }, { signal })
  }

  listTopics(prefix: string, signal: AbortSignal): Promise<readonly TopicDescription[]> {
    return this.#client.call('listTopics', { prefix }, { signal })
  }

  describeTopics(names: readonly string[], signal: AbortSignal): Promise<readonly TopicDescription[]> {
    return this.#client.call('describeTopics', { names }, { signal })
  }

  async topicIds(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.describeTopics(names, signal)).map(({ name, id }) => [name, id]))
  }

  offsetAt(topic: string, partition: number, timestamp: number, signal: AbortSignal): Promise<number> {
    return this.#client.call('offsetAt', { topic, partition, timestamp }, { signal })
  }

  publish(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<readonly PartitionAck[]> {
    return this.#append(entries, signal)
  }

  async takeOver(transactionalId: string, signal: AbortSignal): Promise<TransactionalWriter> {
    await this.#client.revive(signal)
    const epoch = (this.#writers.get(transactionalId) ?? 0) + 1
    this.#writers.set(transactionalId, epoch)
    let closed = false
    // What was sent before is in the log before anything that the new writer asks.
    const check = (): void => {
      if (this.#writers.get(transactionalId) !== epoch)
        throw new TapelineError('FENCED', `The transactional id ${transactionalId} was taken over.`)
    }
    return {
      commit: async (entries, commitSignal) => {
        if (closed) throw new TapelineError('SHUTTING_DOWN', 'The writer is closed.')
        return this.#append(entries, commitSignal, check)
      },
      close: async () => {
        closed = true
      },
    }
  }

  async openReader(signal: AbortSignal): Promise<Reader> {
    const session = ++this.#lastSession
    try {
      await this.#client.call('openSession', { session }, { signal })
    } catch (error) {
      // What was given up may be opened all the same.
      if (signal.aborted) this.#client.call('closeSession', { session }).catch(() => undefined)
      throw error
    }
    return new EmbeddedReader(this.#client, session, this.#log)
  }

  async joinGroup(
    { group: name, topics, onAssignment }: GroupOptions,
    signal: AbortSignal,
  ): Promise<GroupMember> {
    const described = await this.describeTopics(topics, signal)
    const partitions = new Map(described.map((topic) => [topic.name, topic.partitions]))
    const group =
      this.#groups.get(name) ??
      new PartitionGroup((error) =>
        this.#log.error(
          { err: error, group: name },
          'a member of a group failed to take its partitions over',
        ),
      )
    this.#groups.set(name, group)
    const leave = group.join(partitions, onAssignment)
    return {
      commit: async (positions: readonly ReadPosition[], commitSignal: AbortSignal) => {
        const request = { group: name, positions, timestamp: this.#now() }
        await this.#client.call('commitPositions', request, { signal: commitSignal })
      },
      leave: async () => leave(),
    }
  }

  async ping(signal: AbortSignal): Promise<void> {
    const { isAlive, refusing, answeredAt } = this.#client
    if (isAlive && !refusing && performance.now() - answeredAt < LATELY_MS) return
    await this.#client.call('describeTopics', { names: [] }, { signal })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#cleanTimer?.stop()
    for (const group of this.#groups.values()) group.close()
    try {
      await this.#client.close()
    } finally {
      this.#onClosed()
    }
  }

  async #append(
    entries: readonly PartitionRecords[],
    signal: AbortSignal,
    check?: () => void,
  ): Promise<PartitionAck[]> {
    const bytes = measure(entries)
    const admission = this.#window.enter(bytes, signal)
    if (admission !== undefined) await admission
    const encoded = encodeEntries(entries, bytes)
    const request = { timestamp: this.#now(), ...encoded }
    const baseOffsets = await this.#client.call('append', request, {
      signal,
      transfer: [encoded.data],
      ...(check && { check }),
      onDone: () => this.#window.leave(bytes),
    })
    return entries.map(({ topic, partition }, index) => ({
      topic,
      partition,
      baseOffset: baseOffsets[index] as number,
    }))
  }

  async #clean(): Promise<void> {
    try {
      await this.#client.call('clean', { now: this.#now() })
    } catch (thrown) {
      const error = toTapelineError(thrown)
      if (error.code !== 'SHUTTING_DOWN') this.#log.error({ err: error }, 'the log could not be cleaned')
    }
  }
}

async function reopened(open: () => Promise<LogChannel>, log: Pick<Log, 'error'>): Promise<LogChannel> {
  try {
    return await open()
  } catch (error) {
    log.error({ err: error }, 'the log whose thread has ended does not open again yet')
    throw unavailable(error)
  }
}

function unavailable(cause: unknown): TapelineError {
  return new TapelineError('BROKER_UNAVAILABLE', 'The thread of the embedded broker has ended.', { cause })
}

/** About how many bytes the entries take. Raises RECORD_TOO_LARGE. */
function measure(entries: readonly PartitionRecords[]): number {
  let total = 0
  for (const { topic, partition, records } of entries) {
    for (const { key, value } of records) {
      const bytes = (value?.length ?? 0) + (key?.length ?? 0)
      if (bytes > MAX_RECORD_BYTES) {
        throw new TapelineError('RECORD_TOO_LARGE', `A record for ${topic} has ${bytes} bytes.`, {
          partitions: [{ topic, partition }],
          values: [value],
        })
      }
      total += bytes + RECORD_OVERHEAD_BYTES
    }
  }
  return total
}

function encodeEntries(
  entries: readonly PartitionRecords[],
  bytes: number,
): { entries: EncodedEntry[]; data: ArrayBuffer } {
  const writer = new ByteWriter(bytes + 256 * entries.length)
  const encoded = entries.map(({ topic, partition, records }) => ({
    topic,
    partition,
    batches: encodeBatches(writer, records),
  }))
  return { entries: encoded, data: writer.buffer }
}
