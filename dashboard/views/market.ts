import type { Quote, Trade } from '../../src/client/index.ts'
import { ask, client, repeat, wordsOf } from '../api.ts'
import { createBookView } from '../book.ts'
import { type Bar, barAfter, INTERVALS, type IntervalName } from '../candles.ts'
import { openChart } from '../chart.ts'
import { element, fill, setText } from '../element.ts'
import { follow } from '../follow.ts'
import { decimal, digitsOf, timeOfMicros, timeOfSeconds } from '../format.ts'
import { createLiveBadge } from '../live-badge.ts'
import { go, type Visit } from '../router.ts'

const SHOWN_BARS = 300
const SHOWN_TRADES = 30
const MOST_GAPS = 100
/** Late trades and other processes change stored candles: the last ones are read anew so often. */
const RECONCILE_MS = 5_000
/** The streams of this view live so long after it was left. */
const TTL = '30s'

interface StoredTrade extends Pick<Trade, 'side' | 'price' | 'size'> {
  readonly ts: string
}

/** What the tape shows of a trade; the time in microseconds since 1970. */
type Tick = Pick<Trade, 'ts' | 'side' | 'price' | 'size'>

interface StoredCandle extends Omit<Bar, 'time'> {
  readonly ts: string
}

/** One market: candles from the database continued by its trades as they come, its best prices, and where data is missing. */
export function market({ parts, query, signal }: Visit): HTMLElement {
  const { exchange = '', symbol = '' } = parts
  const asked = query.get('interval') ?? '1m'
  const interval: IntervalName = Object.hasOwn(INTERVALS, asked) ? (asked as IntervalName) : '1m'
  const seconds = INTERVALS[interval]
  const canvas = element('div', {
    class: 'candles',
    role: 'img',
    'aria-label': `Candles of ${symbol} on ${exchange}`,
  })
  const price = element('strong', { class: 'figure', 'aria-live': 'off' }, '–')
  const live = createLiveBadge(signal)
  const last = element('p', { class: 'soft numbers', 'data-bar': '' })
  const tape = element('tbody')
  const noTrade = element(
    'p',
    { class: 'empty', hidden: true },
    'No trade of this market is stored, and none has come yet.',
  )
  const quoted = element('dl', { class: 'facts numbers' })
  const gapNote = element('p', { class: 'soft' })
  const market = { symbols: [symbol], exchanges: [exchange], ttl: TTL }
  const book = createBookView(signal)
  let bar: Bar | undefined
  let trades: readonly Tick[] = []

  // It measures the element that it stands in.
  const chart = Promise.withResolvers<ReturnType<typeof openChart>>()
  queueMicrotask(() => chart.resolve(openChart(canvas, seconds, signal)))

  function showBar(): void {
    if (bar === undefined) return
    const { time, open, high, low, close, volume } = bar
    last.dataset['bar'] = JSON.stringify(bar)
    const parts = [`O ${decimal(open)}`, `H ${decimal(high)}`, `L ${decimal(low)}`, `C ${decimal(close)}`]
    setText(last, `${timeOfSeconds(time)}  ${parts.join('  ')}  V ${decimal(Number(volume.toPrecision(6)))}`)
    setText(price, decimal(close))
    price.className = `figure ${close >= open ? 'up' : 'down'}`
  }

  async function readBars(limit: number): Promise<readonly Bar[]> {
    const search = new URLSearchParams({ symbol, exchange, interval, limit: String(limit) })
    const { candles } = await ask<{ candles: readonly StoredCandle[] }>(`/v1/candles?${search}`, { signal })
    return candles.map(({ ts, ...rest }) => ({ ...rest, time: Date.parse(ts) / 1000 }))
  }

  async function showGaps(): Promise<void> {
    try {
      const found = await client().gaps({ exchange, symbol, limit: MOST_GAPS }, { signal })
      const gaps = found.filter(({ filled }) => !filled)
      const holes = gaps.map(({ from, to }) => ({ from: Date.parse(from) / 1000, to: Date.parse(to) / 1000 }))
      const { setHoles } = await chart.promise
      setHoles(holes)
      setText(
        gapNote,
        gaps.length > 0
          ? `Gaps are marked: ${gaps.length} in all.`
          : bar === undefined
            ? ''
            : 'Nothing is missing in this market.',
      )
    } catch (error) {
      setText(gapNote, `Gaps are not shown: ${wordsOf(error)}.`)
    }
  }

  /** What was traded before somebody came: a quiet market shows something too. */
  async function readTape(): Promise<void> {
    const search = new URLSearchParams({ symbol, exchange, order: 'desc', limit: String(SHOWN_TRADES) })
    const found = await ask<{ trades: readonly StoredTrade[] }>(`/v1/trades?${search}`, { signal })
    trades = found.trades.map(({ ts, ...rest }) => ({ ...rest, ts: Date.parse(ts) * 1000 }))
    showTape()
  }

  async function followTrades(): Promise<void> {
    const { setBars, update } = await chart.promise
    const [bars] = await Promise.all([readBars(SHOWN_BARS), readTape()])
    setBars(bars)
    bar = bars.at(-1)
    showBar()
    repeat(RECONCILE_MS, signal, async () => {
      const stored = await readBars(2)
      for (const each of stored) {
        // The last trades may not be stored yet: the candle that goes on takes what the database has, once it has as much.
        if (bar !== undefined && each.time === bar.time && each.volume < bar.volume) continue
        if (bar === undefined || each.time >= bar.time) bar = each
        update(each)
      }
      showBar()
    })
    repeat(60_000, signal, showGaps)
    live.show('waits for trades', 'soft')
    await follow({ channel: 'trade', ...market }, signal, (event) => {
      live.show('live', 'good')
      trades = [event, ...trades].slice(0, SHOWN_TRADES)
      const next = barAfter(bar, event, seconds)
      if (next !== undefined) {
        bar = next
        update(next)
        showBar()
      }
      showTape()
    })
  }

  function showTape(): void {
    noTrade.hidden = trades.length > 0
    const digits = digitsOf(trades.map(({ price: paid }) => paid))
    const rows = trades.map(({ ts, side, price: paid, size }) =>
      element(
        'tr',
        {},
        element('td', {}, timeOfMicros(ts)),
        element('td', { class: side === 'buy' ? 'up' : side === 'sell' ? 'down' : '' }, side),
        element('td', { class: 'number' }, decimal(paid, digits)),
        element('td', { class: 'number' }, decimal(size)),
      ),
    )
    fill(tape, ...rows)
  }

  function showQuote({ bid, ask: asked, bidSize, askSize, volume24h }: Partial<Quote>): void {
    const spread = bid === undefined || asked === undefined ? undefined : Number((asked - bid).toPrecision(4))
    const rows = [
      ['Bid', bid, bidSize],
      ['Ask', asked, askSize],
      ['Spread', spread, undefined],
      ['Volume, 24 h', volume24h, undefined],
    ] as const
    fill(
      quoted,
      ...rows.flatMap(([name, value, size]) => [
        element('dt', {}, name),
        element(
          'dd',
          {},
          value === undefined ? '–' : decimal(value),
          size !== undefined && element('span', { class: 'soft' }, `  × ${decimal(size)}`),
        ),
      ]),
    )
  }

  async function followQuotes(): Promise<void> {
    let known: Partial<Quote> = {}
    showQuote(known)
    await follow({ channel: 'quote', every: '250ms', ...market }, signal, (event) => {
      known = { ...known, ...event }
      showQuote(known)
    })
  }

  const fail = (error: unknown): void => {
    if (signal.aborted) return
    live.show(wordsOf(error), 'bad')
  }
  followTrades().catch(fail)
  followQuotes().catch(fail)
  book.follow({ exchange, symbol, ttl: TTL }).catch(fail)

  const here = location.pathname
  const choices = Object.keys(INTERVALS).map((name) =>
    element(
      'button',
      {
        'aria-pressed': name === interval ? 'true' : 'false',
        on: { click: () => go(`${here}?interval=${name}`, { replace: true }) },
      },
      name,
    ),
  )
  const heads = ['Time', 'Side', 'Price', 'Size'].map((name, i) =>
    element('th', { scope: 'col', class: i > 1 && 'number' }, name),
  )
  const source = element(
    'p',
    { class: 'soft attribution' },
    'Chart: ',
    element(
      'a',
      { href: 'https://www.tradingview.com/', rel: 'noreferrer', target: '_blank' },
      'TradingView Lightweight Charts™',
    ),
  )
  return element(
    'section',
    { class: 'market stack' },
    element(
      'div',
      { class: 'row apart' },
      element(
        'div',
        { class: 'row' },
        element('h1', {}, symbol),
        element('span', { class: 'soft' }, exchange),
        price,
        live.element,
      ),
      element('div', { class: 'tabs', role: 'group', 'aria-label': 'Interval' }, ...choices),
    ),
    element('div', { class: 'card' }, last, canvas, element('div', { class: 'row apart' }, gapNote, source)),
    element(
      'div',
      { class: 'pair' },
      element(
        'div',
        { class: 'card' },
        element('h2', {}, 'Trades'),
        element(
          'div',
          { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Trades' },
          element('table', { class: 'tight' }, element('thead', {}, element('tr', {}, ...heads)), tape),
          noTrade,
        ),
      ),
      element(
        'div',
        { class: 'stack' },
        element('div', { class: 'card' }, element('h2', {}, 'Best prices'), quoted),
        book.element,
      ),
    ),
  )
}
