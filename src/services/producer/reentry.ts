import { withDeadline } from '../../async/deadline.ts'
import type { ControlRecordOf } from '../../control/control-records.ts'
import { type LetterRecord, readLetters, replayedEntry } from '../../control/dead-letter-records.ts'
import { CONTROL_VERSION } from '../../control/record-format.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import { type Channel, type MarketEvent, marketKey, shardOf } from '../../domain/events.ts'
import { isAbort, TapelineError, toTapelineError } from '../../errors.ts'
import type { FetchedBatch } from '../../ports/pipeline.ts'
import type { ReenteringEvent } from '../../ports/source.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'

/** So many requests may wait with letters to publish. Further ones are not taken, and their askers hear nothing in time. */
const MOST_OPEN = 16
/** How long it may take to read the letters, and to tell the result. */
const STEP_MS = 10_000

type Result = ControlRecordOf<'REPLAY_RESULT'>['results'][number]

/**
 * Has dead letters enter again (R6). On a REPLAY_REQUEST each producer takes the letters of its own shards, and leaves the rest to the other
 * producers. It checks them anew, and gives the good ones to its machine as a batch: order, offsets, retries and take-over are those of all data.
 */
export interface Reentry {
  /** Calls back with each batch to be published, from now on. */
  listen(onBatch: (batch: FetchedBatch) => void): () => void
  close(): Promise<void>
}

/** A letter on its way. */
interface OpenLetter {
  readonly id: string
  readonly letter: LetterRecord
  isPublished: boolean
}

export function createReentry(producer: ProducerParts, ownership: ShardOwnership): Reentry {
  const { broker, names, bus, instance, partitions, topics, now, log, meter } = producer
  const channels = new Map(Object.entries(topics).map(([channel, topic]) => [topic, channel as Channel]))
  /** How many batches are not published yet. */
  let open = 0
  const stop = new AbortController()
  const working = new Set<Promise<void>>()

  /** Works beside the data path. After a failure the asker gets no answer, and asks again. */
  const begin = (work: (signal: AbortSignal) => Promise<void>): void => {
    const running = withDeadline(stop.signal, STEP_MS, work)
      .catch((error: unknown) => {
        if (isAbort(error)) return
        log.warn({ code: toTapelineError(error).code, err: error }, 'dead letters could not enter again')
      })
      .finally(() => working.delete(running))
    working.add(running)
  }

  const answer = async (
    requestId: string,
    results: readonly Result[],
    signal: AbortSignal,
  ): Promise<void> => {
    if (results.length === 0) return
    for (const { outcome } of results) meter.count('dead_letters_replayed_total', 1, { outcome })
    const author = { v: CONTROL_VERSION, instance } as const
    await bus.send([{ ...author, kind: 'REPLAY_RESULT', requestId, results: [...results] }], signal)
  }

  /** The way home of a batch, when all of it that could be published is. */
  const wayHome = (requestId: string, letters: readonly OpenLetter[]): (() => void) => {
    let isOpen = true
    open++
    return () => {
      if (!isOpen) return
      isOpen = false
      open--
      // The other letters are of shards that another producer owns by now: the asker asks again.
      const done = letters.filter(({ isPublished }) => isPublished)
      if (done.length === 0) return
      begin(async (signal) => {
        const notes = done.map(({ letter: { topic, partition, offset } }) =>
          replayedEntry({ topic, partition, offset, replayedAt: now(), instance }),
        )
        await broker.publish([{ topic: names.deadLetters, partition: 0, records: notes }], signal)
        const results = done.map(({ id }) => ({ id, outcome: 'replayed' as const }))
        await answer(requestId, results, signal)
      })
    }
  }

  /** Reads the event of a letter by the present rules. Raises EVENT_UNDECODABLE, EVENT_INVALID, TOPIC_UNKNOWN, RECORD_TOO_LARGE. */
  const eventOf = (letter: LetterRecord): MarketEvent => {
    const channel = channels.get(letter.topic)
    if (channel === undefined)
      throw new TapelineError('TOPIC_UNKNOWN', `${letter.topic} is no fixed topic of this platform`)
    const bytes = Buffer.from(letter.bytes, 'base64')
    if (bytes.length < letter.size)
      throw new TapelineError('RECORD_TOO_LARGE', `only ${bytes.length} of its ${letter.size} bytes are kept`)
    // The channel decides the shape of the event, which the compiler cannot follow here.
    return { channel, event: decodeEvent(channel, bytes, letter.headers.v), reentering: true } as MarketEvent
  }

  const take = async (
    { requestId, letters }: ControlRecordOf<'REPLAY_REQUEST'>,
    onBatch: (batch: FetchedBatch) => void,
    signal: AbortSignal,
  ): Promise<void> => {
    const bodies = await readLetters(
      broker,
      names.deadLetters,
      letters.map(({ at }) => at),
      signal,
    )
    const refused: Result[] = []
    const items: ReenteringEvent[] = []
    const taken: OpenLetter[] = []
    for (const { id, at } of letters) {
      const letter = bodies.get(at)
      if (letter === undefined) continue
      try {
        const item = eventOf(letter)
        if (!ownership.isAssigned(shardOf(marketKey(item.event), partitions))) continue
        const onItsWay: OpenLetter = { id, letter, isPublished: false }
        taken.push(onItsWay)
        items.push({
          ...item,
          published() {
            onItsWay.isPublished = true
          },
        })
      } catch (error) {
        // It has no market that tells the shard: the owner of its place in the log speaks.
        if (!ownership.isAssigned(letter.partition % partitions)) continue
        const { code, message } = toTapelineError(error)
        refused.push({ id, outcome: 'still-refused', code, reason: message })
      }
    }
    if (taken.length > 0 && open >= MOST_OPEN) {
      log.warn(
        { letters: taken.length },
        'too many requests wait to have letters enter again; one was not taken',
      )
    } else if (taken.length > 0) {
      onBatch({ items, done: wayHome(requestId, taken) })
    }
    await answer(requestId, refused, signal)
  }

  return {
    listen(onBatch) {
      return bus.on('REPLAY_REQUEST', (request) => begin((signal) => take(request, onBatch, signal)))
    },
    async close() {
      // Notes of what was published are written before the end.
      await Promise.allSettled(working)
      stop.abort()
    },
  }
}
