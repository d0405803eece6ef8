import { createCoinbaseSource } from '../../../src/adapters/source/coinbase.ts'
import { createReplaySource } from '../../../src/adapters/source/replay.ts'
import { isoMicros } from '../../../src/domain/time.ts'
import { describeSource, type ScriptLine } from '../../contract/source.ts'
import { writeCapture } from './captures.ts'
import { openSource } from './cryptocompare-fixtures.ts'
import { Service, sendFrame } from './service.ts'
import { nowMicros, recordingLog } from './waiting.ts'

const GARBAGE = 'no frame of any protocol'

function cryptoCompareFrame(line: ScriptLine): unknown {
  if (line === 'garbage') return GARBAGE
  const [FSYM, TSYM] = line.symbol.split('-')
  const TS = Math.floor(line.ts / 1_000_000)
  const TSNS = (line.ts % 1_000_000) * 1_000
  const F = { sell: '1', buy: '2', unknown: '4' }[line.side]
  return { TYPE: '0', M: 'Coinbase', FSYM, TSYM, F, ID: line.id, TS, TSNS, P: line.price, Q: line.size }
}

function coinbaseFrame(line: ScriptLine): unknown {
  if (line === 'garbage') return GARBAGE
  return {
    type: 'match',
    trade_id: Number(line.id),
    side: line.side === 'buy' ? 'sell' : 'buy',
    size: String(line.size),
    price: String(line.price),
    product_id: line.symbol,
    time: isoMicros(line.ts),
  }
}

describeSource('cryptocompare', {
  way: 'websocket',
  finite: false,
  open: async (t, { markets, lines }) => {
    const service = await Service.start(t, {
      received: (frame, socket) => {
        if (frame['action'] !== 'SubAdd' || service.received.length > 1) return
        for (const line of lines) sendFrame(socket, cryptoCompareFrame(line))
      },
    })
    return openSource(t, service, { markets, channels: ['trades'] }).source
  },
})

describeSource('coinbase', {
  way: 'websocket',
  finite: false,
  open: async (t, { markets, lines }) => {
    const service = await Service.start(t, {
      received: (_, socket) => {
        if (service.received.length > 1) return
        for (const line of lines) sendFrame(socket, coinbaseFrame(line))
      },
    })
    const source = createCoinbaseSource({
      url: service.url,
      markets,
      channels: ['trades'],
      log: recordingLog(),
      now: nowMicros,
    })
    t.after(() => source.close())
    return source
  },
})

describeSource('replay', {
  way: 'replay',
  finite: true,
  open: async (t, { markets, lines, after }) => {
    const at = 1_753_190_500
    const recorded = lines.map((line) => {
      const frame = coinbaseFrame(line)
      return `${at}: ${typeof frame === 'string' ? frame : JSON.stringify(frame)}`
    })
    const later = after === 'silence' ? [`${at + 3_600}: {"type":"heartbeat"}`] : []
    const path = await writeCapture(t, [`wss://example.org <-> ${at}`, ...recorded, ...later])
    const speed = after === 'silence' ? 'recorded' : 'fastest'
    const source = createReplaySource({ path, markets, speed, log: recordingLog() })
    t.after(() => source.close())
    return source
  },
})
