import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { WebSocket } from 'ws'
import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import { checkEvent } from '../../../src/domain/event-codec.ts'
import type { Source, SourceItem } from '../../../src/ports/source.ts'
import {
  BTC,
  ETH,
  HEARTBEAT,
  openCryptoCompare,
  startService,
  TRADE,
  WELCOME,
} from './cryptocompare-fixtures.ts'
import { openOn } from './opened.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, until } from './waiting.ts'

const FRAMES = 10_000

type Json = fc.JsonValue

/** Keys that mean something to a reader, and those that trip careless code. */
function keysOf(valid: readonly object[]): fc.Arbitrary<string> {
  return fc.constantFrom(...valid.flatMap((frame) => Object.keys(frame)), '__proto__', 'toString', 'valueOf')
}

const odd: fc.Arbitrary<Json> = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<Json>('', '0', '2', '5', '24', '500', '401x', -1, 0, 1e300, 2 ** 53, null, true, [], {}),
  fc.record({ toString: fc.constant(1), valueOf: fc.constant(1) }),
)

/** Random bytes, random JSON, and valid frames with some fields changed, cut off, or with a byte flipped. */
function frames(valid: readonly object[]): fc.Arbitrary<Buffer> {
  const whole = fc.constantFrom(...valid)
  const changes = fc.dictionary(keysOf(valid), odd, { minKeys: 1, maxKeys: 3 })
  const mutated = fc.tuple(whole, changes).map(([frame, change]) => JSON.stringify({ ...frame, ...change }))
  const cut = fc.tuple(whole, fc.nat(400)).map(([frame, length]) => JSON.stringify(frame).slice(0, length))
  const flipped = fc.tuple(whole, fc.nat(), fc.nat(255)).map(([frame, at, byte]) => {
    const bytes = Buffer.from(JSON.stringify(frame))
    bytes[at % bytes.length] = byte
    return bytes
  })
  return fc.oneof(
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    fc.json({ maxDepth: 3 }).map((text) => Buffer.from(text)),
    mutated.map((text) => Buffer.from(text)),
    cut.map((text) => Buffer.from(text)),
    flipped,
  )
}

/** Refusals end a connection, as they should: they are tested elsewhere. */
const REFUSAL = /"TYPE":"?(401|429)"?[,}]|FORCE_DISCONNECT|rate limit/i

function randomFrames(valid: readonly object[], seed: number): Buffer[] {
  return fc
    .sample(frames(valid), { seed, numRuns: FRAMES })
    .filter((frame) => frame.length > 0 && !REFUSAL.test(frame.toString()))
}

/** Sends all frames and then a valid trade; gives everything that came out. */
async function feed(
  source: Source,
  service: Service,
  sent: readonly Buffer[],
  last: object,
  lastId: string,
): Promise<SourceItem[]> {
  await until('the source is subscribed', () => source.health().way === 'websocket')
  const [socket] = service.sockets
  for (const frame of sent) socket?.send(frame, { binary: false })
  service.send(last)
  const items: SourceItem[] = []
  while (!eventsOf(items, 'trade').some(({ id }) => id === lastId)) {
    const batch = await source.next(
      { maxItems: 10_000, lingerMs: 0, waitMs: 5_000 },
      AbortSignal.timeout(15_000),
    )
    assert.ok(batch.items.length > 0, 'the data stopped')
    items.push(...batch.items)
  }
  return items
}

function assertValid(items: readonly SourceItem[]): void {
  for (const item of items) {
    if (item.channel === 'connection') checkEvent('status', item.status)
    else if (item.channel !== 'last-trade') checkEvent(item.channel, item.event)
  }
}

describe('random frames', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

  test(`CryptoCompare: ${FRAMES} of them stop nothing and yield only valid events (SEED=${seed})`, async (t) => {
    const valid = [
      TRADE,
      WELCOME,
      HEARTBEAT,
      { TYPE: '16', MESSAGE: 'SUBSCRIBECOMPLETE', SUB: '0~Coinbase~BTC~USD' },
      { TYPE: '500', MESSAGE: 'INVALID_SUB', PARAMETER: '0~Coinbase~ETH~USD', INFO: 'x' },
      {
        TYPE: '2',
        MARKET: 'Coinbase',
        FROMSYMBOL: 'BTC',
        TOSYMBOL: 'USD',
        PRICE: 1,
        BID: 1,
        LASTUPDATE: 1753190418,
      },
      {
        TYPE: '24',
        MARKET: 'Coinbase',
        FROMSYMBOL: 'BTC',
        TOSYMBOL: 'USD',
        TS: 1753190400,
        UNIT: 'm',
        OPEN: 1,
        HIGH: 1,
        LOW: 1,
        CLOSE: 1,
        VOLUMEFROM: 1,
        TOTALTRADES: 2,
      },
    ]
    const service = await startService(t)
    const { source } = await openCryptoCompare(t, service, { markets: [BTC, ETH] })
    const sent = randomFrames(valid, seed)
    const items = await feed(source, service, sent, { ...TRADE, ID: 'last' }, 'last')
    assertValid(items)
    assert.equal(service.upgrades.length, 1, 'the connection was lost')
    assert.ok(source.health().counters.malformed > FRAMES / 4)
    assert.ok(source.health().counters.frames > sent.length, 'every frame was looked at')
  })

  test(`Coinbase: ${FRAMES} of them stop nothing and yield only valid events (SEED=${seed})`, async (t) => {
    const product_id = 'BTC-USD'
    const time = '2021-04-17T16:43:37.089723Z'
    const match = { type: 'match', trade_id: 1, side: 'sell', size: '985', price: '0.1', product_id, time }
    const valid = [
      match,
      { type: 'ticker', product_id, price: '1', best_bid: '1', best_ask: '2', volume_24h: '3', time },
      { type: 'heartbeat', product_id, time },
      { type: 'subscriptions', channels: [{ name: 'matches', product_ids: [product_id] }] },
      { type: 'error', message: 'Failed to subscribe', reason: 'X-Y is not a valid product' },
    ]
    const confirm = (_: unknown, socket: WebSocket) => sendFrame(socket, valid[3])
    const service = await Service.start(t, { received: confirm })
    const markets = [{ exchange: 'coinbase', symbol: product_id }]
    const { source } = await openOn(t, coinbase, service, { markets, reconnect: 1_000 })
    const items = await feed(
      source,
      service,
      randomFrames(valid, seed),
      { ...match, trade_id: 'last' },
      'last',
    )
    assertValid(items)
    assert.equal(service.upgrades.length, 1, 'the connection was lost')
    assert.ok(source.health().counters.malformed > FRAMES / 4)
  })
})
