import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { groupSources } from '../../../src/adapters/source/source-group.ts'
import type { Market, Source, SourceItem } from '../../../src/ports/source.ts'
import { describeSource } from '../../contract/source.ts'
import { SPEAKERS, type Speaker } from './exchanges.ts'
import { openOn } from './opened.ts'
import { playing } from './playing.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, failureOf, pull, until } from './waiting.ts'

const speakerOf = (name: string): Speaker => {
  const found = SPEAKERS.find(({ kind }) => kind.name === name)
  assert.ok(found)
  return found
}

describeSource('a group of sources, of which another is away', {
  way: 'websocket',
  exchange: 'kraken',
  finite: false,
  idsRise: false,
  open: async (t, { markets, lines }) => {
    const { kind, frame, asks, answer } = speakerOf('kraken')
    const answers = (asked: object) => answer(asked as Record<string, unknown>, [])
    let seen = 0
    const isSubscribe = (asked: object) =>
      asks(asked as Record<string, unknown>) !== undefined && ++seen % 2 === 0
    const service = await playing(t, lines, { isSubscribe, frame, answers })
    const away = await Service.start(t, { hang: true })
    const [first, second] = [
      await openOn(t, kind, service, {}),
      await openOn(t, speakerOf('okx').kind, away, {}),
    ]
    const group = groupSources([
      { source: first.source, has: ({ exchange }) => exchange === 'kraken' },
      { source: second.source, has: ({ exchange }) => exchange === 'okx' },
    ])
    group.subscribe([...markets])
    return group
  },
})

/** A group of one source an exchange, each with one market and a service of its own that sends `count` trades. */
async function openAll(
  t: TestContext,
  count: number,
  behave: (name: string, service: Service) => 'ill' | undefined,
) {
  const opened = await Promise.all(
    SPEAKERS.map(async (speaker) => {
      const { kind, frame, asks, answer, requests } = speaker
      const market = { exchange: kind.name, symbol: 'BTC-USD' }
      let seen = 0
      const service = await Service.start(t, {
        received(asked, socket) {
          if (asks(asked) === undefined) return
          for (const each of answer(asked, [])) sendFrame(socket, each)
          if (++seen % requests > 0) return
          for (let id = 1; id <= count; id++)
            sendFrame(
              socket,
              frame({ ...market, id: String(id), side: 'buy', price: 1, size: 1, ts: 1_753_190_418_000_000 }),
            )
        },
      })
      // One that is well may take its time on a busy machine.
      const waits = behave(kind.name, service) === 'ill' ? { timeout: 300, fallbackAfter: 300 } : {}
      const { source } = await openOn(t, kind, service, waits)
      return { source, service, market }
    }),
  )
  const markets = opened.map(({ market }) => market)
  const group = groupSources(
    opened.map(({ source, market }) => ({ source, has: ({ exchange }) => exchange === market.exchange })),
  )
  group.subscribe(markets)
  return { group, opened, markets }
}

const idsOf = (items: readonly SourceItem[], { exchange }: Market) =>
  eventsOf(items, 'trade').flatMap((event) => (event.exchange === exchange ? [event.id] : []))

test('one that refuses, one that hangs and one that sends garbage cost the others nothing', async (t) => {
  const COUNT = 2_000
  const ill = new Set(['okx', 'gemini', 'bybit'])
  const { group, markets } = await openAll(t, COUNT, (name, service) => {
    if (name === 'okx') service.behaviour.refuse = 503
    if (name === 'gemini') service.behaviour.hang = true
    if (name === 'bybit') service.behaviour.received = (_, socket) => sendFrame(socket, 'garbage'.repeat(100))
    return ill.has(name) ? 'ill' : undefined
  })
  const well = markets.filter(({ exchange }) => !ill.has(exchange))
  const expected = Array.from({ length: COUNT }, (_, i) => String(i + 1))
  const items = await pull(group, 'all trades of the others', (all) =>
    well.every((market) => idsOf(all, market).length >= COUNT),
  )
  for (const market of well) assert.deepEqual(idsOf(items, market), expected, market.exchange)
  const codes = () =>
    (group.health().members ?? []).flatMap(({ name, failure }) =>
      ill.has(name) && failure ? [[name, failure.code] as const] : [],
    )
  // What an attempt to connect came to is known later than that there is no connection.
  await until('each of the ill ones says why', () =>
    isDeepStrictEqual(Object.fromEntries(codes()), {
      ...{ okx: 'SOURCE_UNAVAILABLE', gemini: 'SOURCE_UNAVAILABLE', bybit: 'SOURCE_STALE' },
    }),
  )
  assert.equal(group.health().way, 'websocket')
})

test('a connection that is cut may have missed events of its own markets, and of no others', async (t) => {
  const { group, opened } = await openAll(t, 1, () => undefined)
  await pull(group, 'all deliver', (all) => eventsOf(all, 'trade').length === SPEAKERS.length)
  const cut = opened.find(({ market }) => market.exchange === 'kraken')
  cut?.service.cut()
  const items = await pull(group, 'it is back', (all) => eventsOf(all, 'trade').length > 0)
  const changes = items.flatMap((item) => (item.channel === 'connection' ? [item] : []))
  assert.deepEqual(
    changes.map(({ status, mayHaveMissed, of }) => [status.source, status.state, mayHaveMissed, of]),
    [
      ['kraken', 'disconnected', undefined, undefined],
      ['kraken', 'connected', true, [{ exchange: 'kraken', symbol: 'BTC-USD' }]],
    ],
  )
})

test('a group of which none delivers fails, and is back with the first that does', async (t) => {
  const { group, opened } = await openAll(t, 1, (_, service) => {
    service.behaviour.refuse = 503
    return 'ill'
  })
  const { code } = await failureOf(group)
  assert.equal(code, 'SOURCE_UNAVAILABLE')
  const [first] = opened
  delete first?.service.behaviour.refuse
  const items = await pull(group, 'one is back', (all) => eventsOf(all, 'trade').length > 0)
  assert.deepEqual(idsOf(items, first?.market as Market), ['1'])
})

test('a batch has at most as many items as it may, however many sources have some', async (t) => {
  const { group } = await openAll(t, 50, () => undefined)
  let count = 0
  while (count < 50 * SPEAKERS.length) {
    const { items } = await (group as Source).next(
      { maxItems: 7, lingerMs: 1, waitMs: 5_000 },
      AbortSignal.timeout(15_000),
    )
    assert.ok(items.length > 0 && items.length <= 7, `a batch of ${items.length}`)
    count += eventsOf(items, 'trade').length
  }
})
