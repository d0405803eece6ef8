import { crc32 } from 'node:zlib'
import { coinbaseAdvanced } from './coinbase-advanced-decoder.ts'
import { best, type Decoder, rowsOf, type Side, STEPS, SYMBOLS, set, worldsOf } from './decoded.ts'

/**
 * Frames of OKX, Gemini, Bitfinex and Coinbase Advanced, and decoders of them: written by the exchanges' documentation alone, without any code of the platform. No recordings
 * of their present protocols are free to use.
 */

/** Rows `[price, size, "0", orders]`; `count` fills are folded into one trade, whose id is the last one's. */
const okx: Decoder = {
  source: 'okx',
  symbols: SYMBOLS,
  requests: 1,
  frames(random) {
    const frames: string[] = []
    const told = (channel: string, instId: string, data: object[], action?: string) =>
      frames.push(JSON.stringify({ arg: { channel, instId }, ...(action && { action }), data }))
    const rows = (side: Side) => rowsOf(side).map((row) => [...row, '0', '2'])
    const seqs = new Map<string, number>()
    for (const [name, world] of worldsOf(this.symbols, random)) {
      const first = {
        bids: rows(new Map(best(world.bids, -1, 400))),
        asks: rows(new Map(best(world.asks, 1, 400))),
      }
      told(
        'books',
        name,
        [{ ...first, ts: String(world.ms), checksum: 0, prevSeqId: -1, seqId: 10 }],
        'snapshot',
      )
      seqs.set(name, 10)
      for (let i = 0; i < STEPS; i++) {
        const kind = world.whole(10)
        const ts = String(world.ms)
        if (kind < 3) {
          const count = 1 + world.whole(3)
          world.id += count
          const side = random() < 0.5 ? 'buy' : 'sell'
          const trade = { instId: name, tradeId: String(world.id), px: String(world.price(side === 'sell')) }
          const more = { sz: String(world.size()), side, ts, count: String(count), source: '0', seqId: 1 }
          told('trades', name, [{ ...trade, ...more }])
        } else if (kind < 5) {
          const one = (side: Side, sign: 1 | -1) =>
            world.whole(9) === 0 ? [] : rows(new Map(best(side, sign, 1)))
          told('bbo-tbt', name, [{ bids: one(world.bids, -1), asks: one(world.asks, 1), ts, seqId: i }])
        } else {
          const last = seqs.get(name) ?? 0
          const isIdle = kind === 9
          const { bids, asks } = isIdle ? { bids: new Map(), asks: new Map() } : world.changes()
          // Now and then the numbers begin anew.
          const seqId = isIdle ? last : world.whole(20) === 0 ? 3 + world.whole(3) : last + 1 + world.whole(9)
          seqs.set(name, seqId)
          told(
            'books',
            name,
            [{ bids: rows(bids), asks: rows(asks), ts, checksum: 0, prevSeqId: last, seqId }],
            'update',
          )
        }
      }
    }
    return frames
  },
  read(text, into) {
    const { arg, action, data } = JSON.parse(text)
    const symbol = arg.instId
    for (const each of data) {
      const ts = Number(each.ts) * 1_000
      if (arg.channel === 'trades')
        into.trade(each.instId, each.tradeId, each.side, Number(each.px), Number(each.sz), ts)
      if (arg.channel === 'bbo-tbt') {
        const [[bid, bidSize] = [], [ask, askSize] = []] = [each.bids[0], each.asks[0]]
        into.quote(
          symbol,
          ...[bid, bidSize, ask, askSize].map((value) => (value === undefined ? null : Number(value))),
        )
      }
      if (arg.channel !== 'books') continue
      const book = into.of(symbol)
      if (action === 'snapshot') for (const side of [book.bids, book.asks]) side.clear()
      set(book.bids, each.bids)
      set(book.asks, each.asks)
      into.shown(symbol)
    }
  },
}

/** Nanoseconds as digits: the number is beyond a double. */
const nanos = (ms: number, random: () => number) =>
  `${ms}${String(Math.floor(random() * 1e6)).padStart(6, '0')}`

/** Frames without a name: `t` and `m` make a trade, `B` best prices, `U` a book, whose first frame is the whole of it. */
const gemini: Decoder = {
  source: 'gemini',
  symbols: SYMBOLS,
  requests: 1,
  frames(random) {
    const frames: string[] = []
    for (const [symbol, world] of worldsOf(this.symbols, random)) {
      const s = symbol.replace('-', '').toLowerCase()
      const told = (fields: object) =>
        frames.push(JSON.stringify({ E: 0, s, ...fields }).replace('"E":0', `"E":${nanos(world.ms, random)}`))
      let last = 5_000
      told({ U: last, u: last, b: rowsOf(world.bids), a: rowsOf(world.asks) })
      for (let i = 0; i < STEPS; i++) {
        const kind = world.whole(10)
        if (kind < 3) {
          world.id += 1 + world.whole(5)
          const m = random() < 0.5
          told({ t: 2_840_141_000_000 + world.id, p: String(world.price(m)), q: String(world.size()), m })
        } else if (kind < 5) {
          const one = (side: Side, sign: 1 | -1) =>
            world.whole(9) === 0 ? ['', ''] : rowsOf(new Map(best(side, sign, 1)))[0]
          const [[b, B] = [], [a, A] = []] = [one(world.bids, -1), one(world.asks, 1)]
          told({ u: 9_000 + i, b, B, a, A })
        } else if (kind === 9) told({ U: last - 3, u: last - 1, b: [['98.5', '123']], a: [] })
        else {
          const { bids, asks } = world.changes()
          const next = last + 1 + world.whole(9)
          told({ U: last, u: next, b: rowsOf(bids), a: rowsOf(asks) })
          last = next
        }
      }
    }
    return frames
  },
  read(text, into) {
    const frame = JSON.parse(text)
    const symbol = `${frame.s.slice(0, 3)}-${frame.s.slice(3)}`.toUpperCase()
    const micros = Number(/"E":(\d+)\d{3}/.exec(text)?.[1])
    const orNull = (value: string) => (value === '' ? null : Number(value))
    if ('m' in frame)
      into.trade(symbol, String(frame.t), frame.m ? 'sell' : 'buy', Number(frame.p), Number(frame.q), micros)
    else if ('B' in frame) into.quote(symbol, ...[frame.b, frame.B, frame.a, frame.A].map(orNull))
    else if (frame.u > into.of(symbol).last) {
      const book = into.of(symbol)
      book.last = frame.u
      set(book.bids, frame.b)
      set(book.asks, frame.a)
      into.shown(symbol)
    }
  },
}

/** The 25 best levels of both sides in turns, an ask's size negative. */
function checksumOf({ bids, asks }: { readonly bids: Side; readonly asks: Side }): number {
  const [b, a] = [best(bids, -1, 25), best(asks, 1, 25)]
  const parts = Array.from({ length: 25 }, (_, i) => [b[i], a[i]?.map((n, at) => (at === 1 ? -n : n))])
  return (
    crc32(
      parts
        .flat()
        .flatMap((level) => level ?? [])
        .join(':'),
    ) | 0
  )
}

/** Arrays that begin with the number of a channel. `te` and `tu` are one trade; a size below 0 is a sale, or an ask. */
const bitfinex: Decoder = {
  source: 'bitfinex',
  symbols: SYMBOLS,
  requests: 5,
  frames(random) {
    const frames: unknown[] = [{ event: 'info', version: 2, platform: { status: 1 } }]
    for (const [at, [symbol, world]] of [...worldsOf(this.symbols, random)].entries()) {
      const [trades, book] = [20 + at, 30 + at]
      const name = `t${symbol.replace('-', '')}`
      frames.push({
        event: 'subscribed',
        channel: 'trades',
        chanId: trades,
        symbol: name,
        pair: name.slice(1),
      })
      frames.push({ event: 'subscribed', channel: 'book', chanId: book, symbol: name, prec: 'P0', len: '25' })
      const trade = () => {
        world.id += 1 + world.whole(5)
        const sign = random() < 0.5 ? -1 : 1
        return [world.id, world.ms, sign * world.size(), world.price(sign < 0)]
      }
      frames.push([trades, [trade(), trade(), trade()].reverse()])
      const row = (isBid: boolean, price: number, size: number) =>
        size === 0 ? [price, 0, isBid ? 1 : -1] : [price, 1, isBid ? size : -size]
      const all = [
        ...best(world.bids, -1).map(([price, size]) => row(true, price, size)),
        ...best(world.asks, 1).map(([price, size]) => row(false, price, size)),
      ]
      for (const [side, sign] of [
        [world.bids, -1],
        [world.asks, 1],
      ] as const) {
        const kept = new Map(best(side, sign))
        for (const price of side.keys()) if (!kept.has(price)) side.delete(price)
      }
      frames.push([book, all])
      for (let i = 0; i < STEPS; i++) {
        const kind = world.whole(10)
        if (kind < 3) {
          const each = trade()
          frames.push([trades, 'te', each], [trades, 'tu', each])
        } else if (kind === 3) frames.push([random() < 0.5 ? trades : book, 'hb'])
        else if (kind === 4) frames.push([book, 'cs', checksumOf(world)])
        else frames.push([book, row(...world.touch())])
      }
    }
    return frames.map((frame) => JSON.stringify(frame))
  },
  read(text, into) {
    const frame = JSON.parse(text)
    if (!Array.isArray(frame) || frame[1] === 'hb' || frame[1] === 'cs' || frame[1] === 'tu') return
    const [channel, first, second] = frame
    const symbol = SYMBOLS[channel % 10] ?? ''
    const isWhole = Array.isArray(first) && Array.isArray(first[0])
    if (channel < 30) {
      for (const [id, ms, size, price] of first === 'te' ? [second] : first.toReversed())
        into.trade(symbol, String(id), size < 0 ? 'sell' : 'buy', price, Math.abs(size), ms * 1_000)
      return
    }
    const book = into.of(symbol)
    if (isWhole) for (const side of [book.bids, book.asks]) side.clear()
    for (const [price, count, size] of isWhole ? first : [first])
      set(size > 0 ? book.bids : book.asks, [[price, count === 0 ? 0 : Math.abs(size)]])
    into.shown(symbol)
    const [[bid = null, bidSize = null] = [], [ask = null, askSize = null] = []] = [
      best(book.bids, -1, 1)[0],
      best(book.asks, 1, 1)[0],
    ]
    into.quote(symbol, bid, bidSize, ask, askSize)
  },
}

export const DECODERS: readonly Decoder[] = [okx, gemini, bitfinex, coinbaseAdvanced]
