import {
  CandlestickSeries,
  createChart,
  createSeriesMarkers,
  HistogramSeries,
  TickMarkType,
  type Time,
  type UTCTimestamp,
} from 'lightweight-charts'
import type { Bar } from './candles.ts'
import { digitsOf, timeOfSeconds } from './format.ts'

const DAY_S = 86_400

/** A part of the time in which data is missing, in seconds since 1970. */
interface Hole {
  readonly from: number
  readonly to: number
}

interface CandleChart {
  /** Shows these bars and no others. */
  setBars(bars: readonly Bar[]): void
  /** Changes a bar that is there, or adds the next. */
  update(bar: Bar): void
  /** Marks where data is missing. */
  setHoles(holes: readonly Hole[]): void
}

/** The chart of a market, whose bars are of so many seconds. TradingView's own logo brings a style of its own, which the page's policy forbids: the view has the link instead. */
export function openChart(parent: HTMLElement, barSeconds: number, signal: AbortSignal): CandleChart {
  const chart = createChart(parent, {
    autoSize: true,
    // Times are the reader's, as everywhere on the page; days are those of UTC, as candles of a day are.
    localization: { timeFormatter: (time: Time) => timeText(Number(time), barSeconds) },
    layout: { attributionLogo: false, background: { color: 'transparent' }, fontFamily: 'inherit' },
    timeScale: {
      timeVisible: true,
      secondsVisible: false,
      rightOffset: 4,
      barSpacing: 11,
      borderVisible: false,
      tickMarkFormatter: (time: Time, kind: TickMarkType) =>
        kind < TickMarkType.Time ? null : timeOfSeconds(Number(time)),
    },
    rightPriceScale: { borderVisible: false },
    crosshair: { mode: 0 },
  })
  const candles = chart.addSeries(CandlestickSeries, { borderVisible: false })
  const volume = chart.addSeries(HistogramSeries, {
    priceScaleId: 'volume',
    priceFormat: { type: 'volume' },
    lastValueVisible: false,
    priceLineVisible: false,
  })
  const holes = chart.addSeries(HistogramSeries, {
    priceScaleId: 'holes',
    lastValueVisible: false,
    priceLineVisible: false,
  })
  volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } })
  holes.priceScale().applyOptions({ scaleMargins: { top: 0, bottom: 0 }, visible: false })
  const markers = createSeriesMarkers<Time>(candles, [])
  let bars: readonly Bar[] = []
  let digits = 0

  /** Prices have as many digits as any that was seen: two would make one price of all those of a small coin. */
  const showDigits = (given: readonly Bar[]): void => {
    const needed = Math.max(
      digits,
      digitsOf(given.flatMap(({ open, high, low, close }) => [open, high, low, close])),
    )
    if (needed === digits) return
    digits = needed
    candles.applyOptions({ priceFormat: { type: 'price', precision: digits, minMove: 10 ** -digits } })
  }

  const colour = (name: string, share = 100): string => {
    const probe = document.createElement('i')
    probe.style.color =
      share === 100 ? `var(${name})` : `color-mix(in srgb, var(${name}) ${share}%, transparent)`
    parent.append(probe)
    // The chart reads no other notation than this one.
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
    if (canvas === null) return 'gray'
    canvas.fillStyle = getComputedStyle(probe).color
    canvas.fillRect(0, 0, 1, 1)
    const [red, green, blue, alpha = 255] = canvas.getImageData(0, 0, 1, 1).data
    probe.remove()
    return `rgba(${red}, ${green}, ${blue}, ${(alpha / 255).toFixed(3)})`
  }

  const volumeBar = ({ time, open, close, volume: value }: Bar) => ({
    time: time as UTCTimestamp,
    value,
    color: close >= open ? colours.upPale : colours.downPale,
  })
  let colours = { upPale: '', downPale: '' }

  const paint = (): void => {
    colours = { upPale: colour('--up', 35), downPale: colour('--down', 35) }
    const [up, down, line] = [colour('--up'), colour('--down'), colour('--line')]
    chart.applyOptions({
      layout: { textColor: colour('--soft') },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
    })
    candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down })
    volume.setData(bars.map(volumeBar))
  }

  paint()
  for (const [target, name] of [
    [window, 'themechange'],
    [matchMedia('(prefers-color-scheme: dark)'), 'change'],
  ] as const)
    target.addEventListener(name, paint, { signal })
  signal.addEventListener('abort', () => chart.remove())

  return {
    setBars(given) {
      bars = given
      showDigits(given)
      candles.setData(given.map((bar) => ({ ...bar, time: bar.time as UTCTimestamp })))
      volume.setData(given.map(volumeBar))
    },
    update(bar) {
      const isFormer = bar.time < (bars.at(-1)?.time ?? 0)
      bars = [...bars.filter(({ time }) => time !== bar.time), bar].sort((a, b) => a.time - b.time)
      showDigits([bar])
      candles.update({ ...bar, time: bar.time as UTCTimestamp }, isFormer)
      volume.update(volumeBar(bar), isFormer)
    },
    setHoles(given) {
      const within = ({ time }: Bar) => given.some(({ from, to }) => from < time + barSeconds && to >= time)
      const color = colour('--bad', 18)
      holes.setData(bars.filter(within).map(({ time }) => ({ time: time as UTCTimestamp, value: 1, color })))
      const shown = given.filter(({ to }) => to >= (bars[0]?.time ?? Number.POSITIVE_INFINITY))
      markers.setMarkers(
        shown.toReversed().map(({ from }) => ({
          time: (Math.floor(from / barSeconds) * barSeconds) as UTCTimestamp,
          position: 'aboveBar',
          shape: 'square',
          color: colour('--bad'),
          text: 'gap',
        })),
      )
    },
  }
}

/** What the crosshair says of a bar. */
function timeText(seconds: number, barSeconds: number): string {
  const date = new Date(seconds * 1000)
  if (barSeconds >= DAY_S) return date.toISOString().slice(0, 10)
  return `${date.toLocaleDateString('en-CA')} ${timeOfSeconds(seconds)}`
}
