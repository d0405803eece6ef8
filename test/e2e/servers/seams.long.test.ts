import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../../src/simulator/random.ts'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import type { LedgerTrade } from '../ledger.ts'
import { assertTradesQuotesTrades, hasTradesAgain, isTrade, quotesBehind, tradesBehind } from '../moved.ts'
import { until } from '../platform-process.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'
import { TailoredReader } from './tailored-reader.ts'

const ROLES = {
  coordinator: 'coordinator',
  producer: 'producer',
  other: 'producer',
  store: 'consumer-fixed',
  first: 'gateway',
  second: 'gateway',
}
const GATEWAYS = ['first', 'second']
/** So many events of a kind more before the stream moves on. */
const A_LEG = 300

interface Stream {
  readonly id: string
  readonly topic: string
  readonly cursor: string
}

describe(`streams that move, over Kafka (seed ${SEED})`, requireServer(kafkaMissing()), () => {
  let cluster: Cluster
  const random = seededRandom(String(SEED))
  const readers: TailoredReader[] = []
  const stop = new AbortController()

  before(async () => {
    cluster = await openCluster({ seed: SEED, rate: 400, roles: ROLES })
    await startAll(cluster)
  })
  after(async () => {
    stop.abort()
    await Promise.all(readers.map((reader) => reader.close()))
    await cluster.close()
  })

  const read = (stream: Stream): TailoredReader => {
    const reader = new TailoredReader(GATEWAYS.map(cluster.api), stream)
    readers.push(reader)
    return reader
  }

  /** Moves a stream over one gateway; whoever means it asks again while there is no coordinator. */
  const move = async (gateway: string, id: string, change: object): Promise<Stream> => {
    let answer: Response | undefined
    await until('the stream has moved', async () => {
      answer = await fetch(`${cluster.api(gateway)}/v1/streams/${id}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(change),
      })
      assert.ok(answer.ok || answer.status >= 500, await answer.clone().text())
      return answer.ok
    })
    return (await answer?.json()) as Stream
  }

  /** Waits until everybody has more of one kind. */
  const more = (kind: (event: LedgerTrade) => boolean, which: string): Promise<void> => {
    const goals = readers.map((reader) => reader.events.filter(kind).length + A_LEG)
    return until(
      `all have more ${which}`,
      () => readers.every((reader, i) => reader.events.filter(kind).length >= (goals[i] ?? 0)),
      120_000,
    )
  }

  test('trades to quotes and back under load, over kills and cuts: everybody has each event once', async () => {
    const stream = await cluster
      .process('first')
      .post<Stream>('/v1/streams', { channel: 'trade', symbols: ['*'], ttl: 0 })
    const [steady, cut] = [read(stream), read(stream)]
    await more(isTrade, 'trades')
    const cutting = (async () => {
      while (!stop.signal.aborted) {
        await delay(300 + random() * 1_000, undefined, { signal: stop.signal }).catch(() => undefined)
        cut.cut()
      }
    })()

    const quotes = await move('second', stream.id, { channel: 'quote' })
    await more((event) => !isTrade(event), 'quotes')
    // The producers tell how far the old stream is: one of them dies while the seam is open.
    const back = await move('first', stream.id, { channel: 'trade' })
    await Promise.all(['producer', 'coordinator'].map((name) => cluster.process(name).kill()))
    await startAll(cluster, ['producer', 'coordinator'])
    await more(isTrade, 'trades again')
    assert.equal(new Set([stream.topic, quotes.topic, back.topic]).size, 3)

    stop.abort()
    await cutting
    const late = read(stream)
    // What the live readers got behind the first seam before they heard of it is theirs alone: they may stay ahead.
    const goal = steady.events.length
    await until(
      'who resumes from before has as much',
      () => late.events.length >= goal && hasTradesAgain(late.events),
      120_000,
    )
    await Promise.all(readers.map((reader) => reader.close()))
    for (const reader of readers) assert.deepEqual(reader.surprises, [])
    assert.ok(cut.connections > 3, 'one was cut')

    const came = readers.flatMap(({ events }) => events)
    const platform = cluster.process('first')
    const all = {
      trades: await tradesBehind(platform, cluster.ledger, came.filter(isTrade)),
      quotes: await quotesBehind(
        platform,
        came.filter((event) => !isTrade(event)),
      ),
    }
    assertTradesQuotesTrades('who was never cut', steady.events, all)
    assertTradesQuotesTrades('who was cut', cut.events, all)
    assertTradesQuotesTrades('who resumes', late.events, all)
  })
})
