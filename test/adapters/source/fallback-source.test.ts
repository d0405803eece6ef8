import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { withFallback } from '../../../src/adapters/source/fallback-source.ts'
import type { Market, SourceItem } from '../../../src/ports/source.ts'
import { describeSource } from '../../contract/source.ts'
import { SPEAKERS, type Speaker } from './exchanges.ts'
import { openOn } from './opened.ts'
import { playing } from './playing.ts'
import { Service, sendFrame } from './service.ts'
import { changesOf, eventsOf, pull } from './waiting.ts'

function speakerOf(name: string): Speaker {
  const found = SPEAKERS.find(({ kind }) => kind.name === name)
  assert.ok(found)
  return found
}

const KRAKEN = speakerOf('kraken')
const MARKET = { exchange: 'kraken', symbol: 'BTC-USD' }
const OTHER = { exchange: 'kraken', symbol: 'ETH-USD' }
const AFTER_MS = 200

describeSource('a source whose fallback rests', {
  way: 'websocket',
  exchange: 'kraken',
  finite: false,
  idsRise: false,
  open: async (t, { markets, lines }) => {
    const { kind, frame, asks, answer } = KRAKEN
    let seen = 0
    const service = await playing(t, lines, {
      isSubscribe: (asked) => asks(asked as Record<string, unknown>) !== undefined && ++seen % 2 === 0,
      frame,
      answers: (asked) => answer(asked as Record<string, unknown>, []),
    })
    const { source: first } = await openOn(t, kind, service, {})
    const { source: second } = await openOn(t, kind, await Service.start(t, { hang: true }), {})
    const source = withFallback({ first, second, covers: () => true, afterMs: 60_000 })
    source.subscribe([...markets])
    return source
  },
})

/** A service of Kraken's that takes whatever is asked of it. */
async function start(t: TestContext) {
  const { asks, answer, requests } = KRAKEN
  let asked = 0
  const service = await Service.start(t, {
    connected() {
      asked = 0
    },
    received(frame, socket) {
      if (asks(frame) === undefined) return
      asked++
      for (const each of answer(frame, [])) sendFrame(socket, each)
    },
  })
  const ts = 1_753_190_418_000_000
  return {
    service,
    isAsked: () => service.sockets.length === 1 && asked >= requests,
    rests: () => service.sockets.length === 0,
    trade: (id: number) =>
      service.send(KRAKEN.frame({ ...MARKET, id: String(id), side: 'buy', price: 1, size: 1, ts })),
    ticker: (bid: number) =>
      service.send(KRAKEN.frame({ ticker: { bid, ask: bid + 1 }, symbol: MARKET.symbol, ts })),
    refuse() {
      service.behaviour.refuse = 503
      service.cut()
    },
    accept() {
      delete service.behaviour.refuse
    },
  }
}

async function openBoth(
  t: TestContext,
  {
    covers = () => true,
    afterMs = AFTER_MS,
  }: { covers?: (market: Market) => boolean; afterMs?: number } = {},
) {
  const [primary, standIn] = [await start(t), await start(t)]
  const { source: first } = await openOn(t, KRAKEN.kind, primary.service)
  const kind = { ...KRAKEN.kind, name: 'kraken-fallback' }
  const { source: second } = await openOn(t, kind, standIn.service)
  const source = withFallback({ first, second, covers, afterMs })
  source.subscribe([MARKET, OTHER])
  return { source, primary, standIn: { ...standIn, subscribe: () => second.subscribe([MARKET]) } }
}

const idsOf = (items: readonly SourceItem[]) => eventsOf(items, 'trade').map(({ id }) => id)
const has = (id: number) => (items: readonly SourceItem[]) => idsOf(items).includes(String(id))

test('the fallback stands in after its time, and gives back: nothing is missing at a seam, and no seam looks like a hole', async (t) => {
  const { source, primary, standIn } = await openBoth(t)
  await pull(source, 'the first one is asked alone', () => primary.isAsked() && standIn.rests())
  primary.trade(1)
  await pull(source, 'the first one delivers', has(1))

  primary.refuse()
  await pull(source, 'the fallback is asked', standIn.isAsked)
  standIn.trade(1)
  standIn.trade(2)
  const meanwhile = await pull(source, 'the fallback delivers', has(2))
  assert.deepEqual(idsOf(meanwhile), ['1', '2'])
  assert.deepEqual([source.health().way, source.health().failure], ['websocket', undefined])
  assert.deepEqual(
    source.health().members?.map(({ name, way }) => [name, way]),
    [
      ['kraken', 'none'],
      ['kraken-fallback', 'websocket'],
    ],
  )

  primary.accept()
  const asked = await pull(source, 'the first one is asked again', primary.isAsked)
  primary.trade(3)
  const back = await pull(source, 'the first one delivers again', has(3))
  assert.deepEqual(changesOf([...asked, ...back])[0], 'connected', 'the fallback went on: nothing was missed')
  await pull(source, 'the fallback rests', standIn.rests)
  primary.trade(4)
  await pull(source, 'the first one goes on alone', has(4))
})

test('while both deliver, trades of both come, and quotes of the first one alone', async (t) => {
  const { source, primary, standIn } = await openBoth(t, { afterMs: 60_000 })
  await pull(source, 'the first one is asked', primary.isAsked)
  primary.trade(1)
  await pull(source, 'the first one delivers', has(1))
  standIn.subscribe()
  await pull(source, 'the fallback is asked', standIn.isAsked)
  standIn.trade(2)
  standIn.ticker(10)
  primary.trade(3)
  primary.ticker(20)
  const items = await pull(
    source,
    'what both send',
    (all) => has(2)(all) && has(3)(all) && eventsOf(all, 'quote').length > 0,
  )
  assert.deepEqual(
    eventsOf(items, 'quote').map(({ bid }) => bid),
    [20],
  )
})

test('a new connection may have missed what the other does not have', async (t) => {
  const { source, primary, standIn } = await openBoth(t, { covers: ({ symbol }) => symbol === MARKET.symbol })
  await pull(source, 'the first one is asked alone', () => primary.isAsked() && standIn.rests())
  primary.refuse()
  await pull(source, 'the fallback is asked', standIn.isAsked)
  standIn.trade(2)
  await pull(source, 'the fallback delivers', has(2))
  primary.accept()
  const items = await pull(source, 'the first one is back', (all) =>
    changesOf(all).some((each) => each.startsWith('connected')),
  )
  const [first] = items.flatMap((item) =>
    item.channel === 'connection' && item.status.source === 'kraken' && item.mayHaveMissed ? [item.of] : [],
  )
  assert.deepEqual(first, [OTHER])
})
