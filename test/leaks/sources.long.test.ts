import { test } from 'node:test'
import { CoinbaseProtocol } from '../../src/adapters/source/coinbase/protocol.ts'
import { ExchangeNames } from '../../src/adapters/source/cryptocompare/exchange-names.ts'
import { CryptoCompareProtocol } from '../../src/adapters/source/cryptocompare/protocol.ts'
import { Subscriptions } from '../../src/adapters/source/cryptocompare/subscriptions.ts'
import type { FeedProtocol, Outlet } from '../../src/adapters/source/feed/feed-protocol.ts'
import { Refusals } from '../../src/adapters/source/feed/refusals.ts'
import { Tally } from '../../src/adapters/source/feed/tally.ts'
import type { Market } from '../../src/ports/source.ts'
import { quietLog } from '../quiet.ts'
import { assertLevel } from './level.ts'

const MARKETS = 5_000
/** So many are asked for at a time. */
const AT_ONCE = 50
const NOW = Date.parse('2026-01-01T00:00:00Z') * 1_000

const ignore = (): void => {}
const take = (): boolean => true

function quietOutlet(): Outlet {
  return {
    ...{ emit: take, polled: ignore, note: take, send: ignore, complain: ignore },
    refusals: new Refusals({ source: 'test', note: ignore, now: () => NOW }),
    ...{ tally: new Tally(quietLog, (text) => text), maxSkewMs: 60_000, now: () => NOW },
  }
}

/** Markets that are asked for, deliver and are not asked for any more, and frames of each that come late. */
async function comeAndGo(
  protocol: FeedProtocol,
  exchange: string,
  framesOf: (market: Market) => readonly object[],
): Promise<void> {
  let made = 0
  const round = (): void => {
    for (let n = 0; n < MARKETS; n += AT_ONCE) {
      const markets = Array.from({ length: AT_ONCE }, () => ({ exchange, symbol: `M${made++}-USD` }))
      const frames = markets.flatMap(framesOf).map((frame) => Buffer.from(JSON.stringify(frame)))
      protocol.add(markets)
      for (const frame of frames) protocol.read(frame, NOW)
      protocol.remove(markets)
      for (const frame of frames) protocol.read(frame, NOW)
      if (n % (AT_ONCE * 10) === 0) {
        protocol.closed?.()
        protocol.opened()
      }
    }
  }
  await assertLevel(round, { rounds: 2, mostBytes: MARKETS * 20, what: `${MARKETS} markets of ${exchange}` })
  protocol.closed?.()
}

test('Coinbase: markets that are not asked for any more leave nothing, not even where ids skip or are refused', async () => {
  const protocol = new CoinbaseProtocol({
    channels: ['trade', 'quote'],
    outlet: quietOutlet(),
    redact: (text) => text,
    books: { depth: 10, snapshotEveryMs: 10_000 },
    timeoutMs: 10_000,
    log: quietLog,
  })
  const time = new Date(NOW / 1_000).toISOString()
  await comeAndGo(protocol, 'coinbase', ({ symbol }) => {
    const of = { product_id: symbol, time }
    const match = { ...of, type: 'match', side: 'buy', size: '1', price: '2' }
    return [
      { ...match, trade_id: 1 },
      { ...match, trade_id: 9, price: 'odd' },
      { ...match, trade_id: 12 },
      { ...of, type: 'ticker', best_bid: '1', best_ask: '2', sequence: 1 },
      { ...of, type: 'heartbeat', last_trade_id: 20 },
      { type: 'error', message: 'Failed to subscribe', reason: `${symbol} is not a valid product` },
    ]
  })
})

test('CryptoCompare: markets that are not asked for any more leave nothing, however they are spelled', async () => {
  const outlet = quietOutlet()
  const names = new ExchangeNames([])
  const protocol = new CryptoCompareProtocol({
    subscriptions: new Subscriptions(['trade', 'quote', 'candle'], names, outlet),
    directory: { ask: () => false, close: ignore } as never,
    ...{ outlet, redact: (text: string) => text },
  })
  const seconds = NOW / 1_000_000
  await comeAndGo(protocol, 'kraken', ({ symbol }) => {
    const [FROMSYMBOL, TOSYMBOL] = symbol.split('-') as [string, string]
    return ['Kraken', 'kraken', 'KRAKEN'].flatMap((MARKET) => [
      { TYPE: '0', M: MARKET, FSYM: FROMSYMBOL, TSYM: TOSYMBOL, F: '1', P: 1, Q: 1, TS: seconds },
      { TYPE: '2', MARKET, FROMSYMBOL, TOSYMBOL, PRICE: 1, BID: 1, ASK: 2, LASTUPDATE: seconds },
      {
        TYPE: '24',
        MARKET,
        FROMSYMBOL,
        TOSYMBOL,
        UNIT: 'm',
        TS: seconds,
        OPEN: 1,
        HIGH: 1,
        LOW: 1,
        CLOSE: 1,
        VOLUMEFROM: 1,
      },
      { TYPE: '500', MESSAGE: 'INVALID_SUB', PARAMETER: `0~${MARKET}~${FROMSYMBOL}~${TOSYMBOL}` },
    ])
  })
})
