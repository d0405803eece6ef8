import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { readRanges } from '../../../src/control/read-range.ts'
import { findTopic } from '../../../src/control/topics.ts'
import type { Quote, Trade } from '../../../src/domain/events.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { SourceBatch } from '../../../src/ports/source.ts'
import { toTopicBatches } from '../../../src/services/consumer-dynamic/topic-batches.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { NEVER, setUp, trades } from './one-shard.ts'

export const TRADES = 'market.trades'

export const ids = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `t${from + i}`)

/** A trade's id, or a quote's bid. */
const nameOf = ({ id, bid }: Partial<Trade & Quote>): string => id ?? String(bid)

/** Producers one after the other, each the only one, over a log that may be another one than it was. */
export function setUpLog(t: TestContext) {
  const broker = new MemoryBroker(Date.now)
  t.after(() => broker.close())
  const start = () => setUp(t, broker)
  const partition = (topic: string) => broker.topics.get(topic)?.partition(0)

  return {
    ...{ broker, start },
    /** Somebody deletes the fixed topic and makes it anew. */
    async makeAnew(): Promise<void> {
      const [topic] = await broker.describeTopics([TRADES], NEVER)
      assert.ok(topic)
      await broker.deleteTopics([topic], NEVER)
      await broker.createTopics([{ name: TRADES, partitions: 1, retentionMs: 1e9 }], NEVER)
    },
    /** A topic loses so many records at its end. */
    loseEnd(records: number, topic = TRADES): void {
      partition(topic)?.cut((partition(topic)?.end ?? 0) - records)
    },
    /** The last batch of a topic, or one so many in front of it, cannot be read any more. */
    rot(topic: string, back = 0): void {
      partition(topic)?.rot(back)
    },
    end: (topic = TRADES): number => partition(topic)?.end ?? 0,
    /** What an application gets of a topic that it reads from an offset on, with what it has got before: trades, and `reset`. */
    async got(topic: string, memory = emptyMemory(), offset = 0): Promise<string[]> {
      const description = await findTopic(broker, topic, NEVER)
      const { end = 0 } = description?.offsets[0] ?? {}
      const found: string[] = []
      await readRanges(
        broker,
        [{ topic, partition: 0, offset, end }],
        (fetch) => {
          for (const { events, reset } of toTopicBatches(fetch, 0, memory)) {
            for (const { value } of events) found.push(nameOf(JSON.parse(Buffer.from(value).toString())))
            if (reset !== null) found.push('reset')
          }
        },
        NEVER,
      )
      return found
    },
  }
}

export type Producer = Awaited<ReturnType<ReturnType<typeof setUpLog>['start']>>

export async function trade({ services, derive }: Producer, from: number, to: number): Promise<void> {
  await services.publishFixed(trades('A-B', ...ids(from, to)), NEVER)
  await derive()
}

/** A log with a stream of all trades, and a first owner that has published and derived so many. */
export async function setUpStream(t: TestContext, count: number) {
  const log = setUpLog(t)
  const first = await log.start()
  await first.announce('app.one', ['*'], 0)
  await trade(first, 0, count)
  return { log, first }
}

/** Trades and quotes in one batch, with the same numbers. */
export const both = (from: number, to: number): SourceBatch => ({
  items: [
    ...trades('A-B', ...ids(from, to)).items,
    ...ids(from, to).map((_, i) => {
      const event = { exchange: 'x', symbol: 'A-B', bid: from + i, ask: 1e9, ts: 1_000 + i, recvTs: 1_000 }
      return { channel: 'quote' as const, event }
    }),
  ],
})

/** A stream's topic cannot be written by a producer while `isRefused` says so. */
export function refuseWrites({ mine }: Producer, topic: string, isRefused: () => boolean): void {
  mine.beforePublish = async (entries) => {
    if (!isRefused() || !entries.some((entry) => entry.topic === topic)) return
    throw new TapelineError('BROKER_UNAVAILABLE', 'no leader', { partitions: [{ topic, partition: 0 }] })
  }
}

/** A producer cannot read a topic any more. */
export function refuseReads({ mine }: Producer, topic: string): void {
  const { openReader } = mine
  mine.openReader = async (...call) => {
    const inner = await openReader(...call)
    return {
      async assign(positions, signal) {
        if (positions.some((each) => each.topic === topic))
          throw new TapelineError('BROKER_UNAVAILABLE', 'fetches fail')
        await inner.assign(positions, signal)
      },
      unassign: (...given) => inner.unassign(...given),
      poll: (...given) => inner.poll(...given),
      close: (signal) => inner.close(signal),
    }
  }
}

/** Its checkpoint is written: what comes next is after it. */
export async function checkpoint({ services, clock }: Producer): Promise<void> {
  await services.publishFixed({ items: [] }, NEVER)
  clock.skippedMs += 6_000
  await services.publishFixed({ items: [] }, NEVER)
}
