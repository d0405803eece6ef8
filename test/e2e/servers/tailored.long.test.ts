import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { type LedgerTrade, marketOf, tradeKey } from '../ledger.ts'
import { until } from '../platform-process.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'
import { TailoredReader } from './tailored-reader.ts'
import {
  compare,
  compareTailored,
  lastingFaults,
  publishedBefore,
  TAILORED,
  untilAllAreBehind,
  within,
} from './tailored-streams.ts'

const SECOND = 1_000_000
const ROLES = {
  producer: 'producer',
  coordinator: 'coordinator',
  store: 'consumer-fixed',
  first: 'gateway',
  second: 'gateway',
}
const GATEWAYS = ['first', 'second']
/** Whom each kill -9 hits, one after the other. */
const KILLS: readonly (readonly string[])[] = [
  ['producer'],
  ['first'],
  ['coordinator', 'second'],
  ['store'],
  Object.keys(ROLES),
]

/** Numbers that follow from the seed. */
function createRandom(seed: number): () => number {
  let state = seed % 2 ** 32
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return state / 2 ** 32
  }
}

describe(`tailored streams over Kafka (seed ${SEED})`, requireServer(kafkaMissing()), () => {
  let cluster: Cluster
  const readers = new Map<string, TailoredReader>()
  const random = createRandom(SEED)
  const stop = new AbortController()

  before(async () => {
    cluster = await openCluster({ seed: SEED, rate: 100, roles: ROLES })
    await startAll(cluster)
  })
  after(async () => {
    stop.abort()
    await Promise.all([...readers.values()].map((reader) => reader.close()))
    await cluster.close()
  })

  const read = async (name: string, request: object): Promise<TailoredReader> => {
    let stream: { id: string; cursor?: string } | undefined
    // A gateway may be unable to ask just after a kill: whoever means it asks again.
    await until(`there is a stream for ${name}`, async () => {
      const gateway = cluster.process(GATEWAYS[Math.floor(random() * 2)] ?? 'first')
      stream = await gateway
        .post<{ id: string; cursor?: string }>('/v1/streams', { ...request, ttl: 0 })
        .catch(() => undefined)
      return stream !== undefined
    })
    if (stream === undefined) throw new Error('there is none')
    const reader = new TailoredReader(GATEWAYS.map(cluster.api), stream)
    readers.set(name, reader)
    return reader
  }
  const readerOf = (name: string): TailoredReader => readers.get(name) ?? assert.fail(name)

  test('each is exactly what the ledger says, over cuts at random and five kills', async () => {
    for (const [name, request] of Object.entries(TAILORED)) await read(name, request)
    const begin = Date.now() * 1_000 + 2 * SECOND
    await untilAllAreBehind(readers, begin)

    const cutting = (async () => {
      while (!stop.signal.aborted) {
        await delay(300 + random() * 1_500, undefined, { signal: stop.signal }).catch(() => undefined)
        const all = [...readers.values()]
        all[Math.floor(random() * all.length)]?.cut()
      }
    })()
    let since = 0
    for (const [round, names] of KILLS.entries()) {
      await Promise.all(names.map((name) => cluster.process(name).kill()))
      await startAll(cluster, names)
      // One that begins between the kills has what was there before them.
      if (round === 1) await read('earliest', { channel: 'trade', symbols: ['*'], from: 'earliest' })
      if (round === 2) {
        since = Date.now() - 15_000
        await read('since', { channel: 'trade', symbols: ['*'], from: new Date(since).toISOString() })
      }
      await untilAllAreBehind(readers, Date.now() * 1_000)
    }
    stop.abort()
    await cutting
    const last = Date.now() * 1_000 + 5 * SECOND
    await untilAllAreBehind(readers, last)
    const end = last - SECOND
    const platform = cluster.process('first')
    const published = await publishedBefore(cluster, platform, end)
    const findFaults = (): readonly object[] => {
      const faults: object[] = [
        ...compareTailored((name) => readerOf(name).events, published, begin, end),
        ...compare(
          'from the earliest',
          within(readerOf('earliest').events, 0, end).map(tradeKey),
          within(published, 0, end).map(tradeKey),
        ),
      ]
      try {
        checkSince(within(readerOf('since').events, 0, end), within(published, 0, end), since * 1_000)
      } catch (error) {
        faults.push({ what: 'from a time', error })
      }
      return faults
    }
    const faults = await lastingFaults(findFaults)
    await Promise.all([...readers.values()].map((reader) => reader.close()))
    for (const [name, { surprises, connections }] of readers) {
      assert.deepEqual(surprises, [], name)
      assert.ok(connections > 1, `${name} was cut`)
    }
    assert.deepEqual(faults, [])
  })
})

/** Of each market it has all from some trade on, and this is none that came after the time: that of its publication is not in the ledger. */
function checkSince(got: readonly LedgerTrade[], published: readonly LedgerTrade[], since: number): void {
  const mine = Map.groupBy(got, marketOf)
  const all = Map.groupBy(published, marketOf)
  assert.ok(got.length > 50)
  for (const [market, trades] of all) {
    const found = (mine.get(market) ?? []).map(tradeKey)
    const keys = trades.map(tradeKey)
    assert.deepEqual(
      found.toSorted(),
      keys.slice(keys.length - found.length).toSorted(),
      `${market} from a time`,
    )
    assert.ok(found.length >= trades.filter(({ ts }) => ts >= since).length, `${market} begins too late`)
  }
}
