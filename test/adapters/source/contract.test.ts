import { coinbase } from '../../../src/adapters/source/coinbase/source.ts'
import { createReplaySource } from '../../../src/adapters/source/replay.ts'
import { isoMicros } from '../../../src/domain/time.ts'
import { describeSource } from '../../contract/source.ts'
import { writeCapture } from './captures.ts'
import { openCryptoCompare } from './cryptocompare-fixtures.ts'
import { openOn } from './opened.ts'
import { playing, type SentLine, written } from './playing.ts'
import { recordingLog } from './waiting.ts'

function cryptoCompareFrame(line: SentLine): object {
  const [base, quote] = line.symbol.split('-')
  const TS = Math.floor(line.ts / 1_000_000)
  if ('ticker' in line) {
    const { bid, ask, last, volume24h } = line.ticker
    const names = { MARKET: 'Coinbase', FROMSYMBOL: base, TOSYMBOL: quote, LASTUPDATE: TS }
    const sides = { BID: bid === null ? 0 : bid, ASK: ask === null ? 0 : ask }
    return { TYPE: '2', ...names, ...sides, PRICE: last, VOLUME24HOUR: volume24h }
  }
  const TSNS = (line.ts % 1_000_000) * 1_000
  const F = { sell: '1', buy: '2', unknown: '4' }[line.side]
  const names = { TYPE: '0', M: 'Coinbase', FSYM: base, TSYM: quote }
  return { ...names, F, ID: line.id, TS, TSNS, P: line.price, Q: line.size }
}

function coinbaseFrame(line: SentLine): object {
  const time = isoMicros(line.ts)
  if ('ticker' in line) {
    const { bid, ask, last, volume24h } = line.ticker
    const text = (value: unknown) => (value === undefined ? undefined : String(value))
    const sides = { best_bid: bid === null ? '0.00' : text(bid), best_ask: ask === null ? '' : text(ask) }
    const others = { price: text(last), volume_24h: text(volume24h) }
    return { type: 'ticker', product_id: line.symbol, ...sides, ...others, time }
  }
  return {
    type: 'match',
    trade_id: /^\d+$/.test(line.id) ? Number(line.id) : line.id,
    side: line.side === 'buy' ? 'sell' : 'buy',
    size: String(line.size),
    price: String(line.price),
    product_id: line.symbol,
    time,
  }
}

describeSource('cryptocompare', {
  way: 'websocket',
  exchange: 'coinbase',
  finite: false,
  idsRise: false,
  open: async (t, { markets, lines }) => {
    const isSubscribe = (asked: object) => 'action' in asked && asked.action === 'SubAdd'
    const service = await playing(t, lines, { isSubscribe, frame: cryptoCompareFrame })
    return (await openCryptoCompare(t, service, { markets, channels: ['trade', 'quote'] })).source
  },
})

describeSource('coinbase', {
  way: 'websocket',
  exchange: 'coinbase',
  finite: false,
  idsRise: true,
  open: async (t, { markets, lines }) => {
    const service = await playing(t, lines, { isSubscribe: () => true, frame: coinbaseFrame })
    return (await openOn(t, coinbase, service, { markets })).source
  },
})

describeSource('replay', {
  way: 'replay',
  exchange: 'coinbase',
  finite: true,
  idsRise: true,
  open: async (t, { markets, lines, after }) => {
    const at = 1_753_190_500
    const opened = `wss://example.org <-> ${at}`
    const recorded = lines.map((line) => {
      if (line === 'reconnect') return opened
      const frame = written(line, coinbaseFrame)
      if (Buffer.isBuffer(frame)) return Buffer.concat([Buffer.from(`${at}: `), frame])
      return `${at}: ${typeof frame === 'string' ? frame : JSON.stringify(frame)}`
    })
    const later = after === 'silence' ? [`${at + 3_600}: {"type":"heartbeat"}`] : []
    const path = await writeCapture(t, [opened, ...recorded, ...later])
    const speed = after === 'silence' ? 1 : 'fastest'
    const source = createReplaySource({ paths: [path], markets, speed, log: recordingLog() })
    t.after(() => source.close())
    return source
  },
})
