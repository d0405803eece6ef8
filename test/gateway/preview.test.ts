import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { encodeEvent } from '../../src/domain/event-codec.ts'
import type { StoredRecord } from '../../src/ports/broker.ts'
import { NAMES } from '../names.ts'
import { post } from './http.ts'
import { startPlatform } from './platform.ts'

const PATH = '/v1/streams/preview'

const trade = (offset: number, symbol: string, size: number): StoredRecord => ({
  offset,
  timestamp: 1_770_000_000_000 + offset,
  key: null,
  headers: { v: 1, kind: 'event' },
  value: encodeEvent({
    ...{ exchange: 'kraken', symbol, id: String(offset), side: 'buy', price: 2, size },
    ...{ ts: 1_770_000_000_000_000 + offset, recvTs: 1_770_000_000_000_001 + offset },
  }),
})

describe('the preview of a stream', () => {
  test('has the newest events that it would take, with its fields, and makes nothing', async (t) => {
    const { url, broker, desk } = await startPlatform(t)
    const marker: StoredRecord = { ...trade(3, 'BTC-USD', 9), headers: { v: 1, kind: 'marker' }, value: null }
    const trades = [
      trade(0, 'BTC-USD', 1),
      trade(1, 'ETH-USD', 5),
      trade(2, 'BTC-USD', 5),
      marker,
      trade(4, 'BTC-EUR', 7),
    ]
    broker.add(NAMES.fixed.trade, trades)
    const request = { channel: 'trade', symbols: ['btc-*'], where: 'size >= 5', fields: ['size'] }
    const answer = await post(url + PATH, request)
    assert.equal(answer.status, 200)
    const { spec, ...found } = answer.json()
    assert.deepEqual((spec as { symbols: unknown }).symbols, ['BTC-*'])
    const market = (symbol: string, size: number, ts: number) => ({ exchange: 'kraken', symbol, size, ts })
    assert.deepEqual(found, {
      ...{ acceptable: true, looked: 4, matching: 2 },
      events: [market('BTC-EUR', 7, 1_770_000_000_000_004), market('BTC-USD', 5, 1_770_000_000_000_002)],
    })
    assert.equal(desk.leases.size, 0)
    assert.equal(broker.openReaders, 0)
  })

  test('says what is wrong with a request, at the character', async (t) => {
    const { url } = await startPlatform(t)
    const answer = await post(url + PATH, { channel: 'trade', symbols: ['*'], where: 'size >= "much"' })
    assert.equal(answer.status, 200)
    assert.equal(answer.json()['acceptable'], false)
    const [fault] = answer.json()['errors'] as { field: string; message: string }[]
    assert.equal(fault?.field, 'where')
    assert.match(fault?.message ?? '', /character/)
  })

  test('reads a topic once for all who ask at the same time', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add(NAMES.fixed.trade, [trade(0, 'BTC-USD', 1)])
    const open = broker.openReader.bind(broker)
    const held = Promise.withResolvers<void>()
    let opened = 0
    broker.openReader = async () => {
      opened++
      await held.promise
      return open()
    }
    const ask = () => post(url + PATH, { channel: 'trade', symbols: ['*'] })
    const asked = Array.from({ length: 10 }, ask)
    for (let turn = 0; opened < 10 && turn < 2_000; turn++) await new Promise(setImmediate)
    assert.equal(opened, 1)
    held.resolve()
    for (const answer of await Promise.all(asked)) assert.equal(answer.json()['matching'], 1)
    assert.equal((await ask()).json()['matching'], 1)
    assert.equal(broker.openReaders, 0)
  })

  test('of candles looks at the trades that they are made of', async (t) => {
    const { url, broker } = await startPlatform(t)
    broker.add(NAMES.fixed.trade, [trade(0, 'BTC-USD', 1)])
    const answer = await post(url + PATH, { channel: 'candle', symbols: ['*'], interval: '1m' })
    assert.equal(answer.json()['matching'], 1)
  })
})
