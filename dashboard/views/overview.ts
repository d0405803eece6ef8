import { ask, askText, repeat } from '../api.ts'
import { element, fill, setText } from '../element.ts'
import { rate, seconds, short } from '../format.ts'
import { type Metrics, perSecond, quantile, readMetrics, sum } from '../metrics.ts'
import { type Figures, openPicture } from '../picture.ts'
import type { Actor, Alert, Topic } from '../platform.ts'
import type { Visit } from '../router.ts'
import { createSparkline, type Sparkline } from '../sparkline.ts'

const LOOK_EVERY_MS = 1_000
const COUNT_EVERY_MS = 2_000
/** How the names of topics end, whatever prefix they were configured with: a fixed one with its channel, a dynamic one with its ULID. */
const [FIXED, DYNAMIC] = [/\.(trades|quotes|candles|books|status)$/, /\.[0-9a-z]{26}$/]
/** Rates and latencies are those of so many looks. */
const WINDOW = 5

/** The way of the data as one picture, with what flows on each part of it now. */
export function overview({ signal }: Visit): HTMLElement {
  const picture = openPicture(signal)
  const tiles = {
    trades: createTile('Published', 'records a second'),
    stored: createTile('Stored', 'rows a second'),
    delivered: createTile('Delivered', 'events a second, to applications'),
    latency: createTile('Latency', 'from source to application, median'),
  }
  const alerts = element('div', { class: 'alerts', role: 'status' })
  let looks: readonly Metrics[] = []
  let topics: readonly Topic[] = []
  let streams = 0

  const look = async (): Promise<void> => {
    const [text, { actors }, { alerts: lasting }] = await Promise.all([
      askText('/metrics', signal),
      ask<{ actors: readonly Actor[] }>('/v1/actors', { signal }),
      ask<{ alerts: readonly Alert[] }>('/v1/alerts', { signal }),
    ])
    looks = [...looks, readMetrics(text)].slice(-WINDOW - 1)
    show(actors, lasting)
  }
  /** Apart from the others: without the broker nobody answers that, and what is wrong must show all the same. */
  const count = async (): Promise<void> => {
    const [found, { streams: live }] = await Promise.all([
      ask<{ topics: readonly Topic[] }>('/v1/topics?all=true', { signal }),
      ask<{ streams: readonly unknown[] }>('/v1/streams', { signal }),
    ])
    topics = found.topics
    streams = live.length
  }

  function show(actors: readonly Actor[], lasting: readonly Alert[]): void {
    const [first, last] = [looks.at(0), looks.at(-1)]
    if (first === undefined || last === undefined) return
    const flow = (name: string, labels = {}): number | undefined => perSecond(first, last, name, labels)
    const median = (name: string, labels = {}): number | undefined => quantile(first, last, name, 0.5, labels)
    const published = flow('published_records_total')
    const [stored, delivered] = [flow('stored_rows_total'), flow('delivered_events_total')]
    const latency = median('delivery_latency_seconds')
    const fixed = topics.filter(({ name }) => FIXED.test(name))
    const dynamic = topics.filter(({ name }) => DYNAMIC.test(name))
    const held = (some: readonly Topic[]): number =>
      some.reduce((all, { earliest, end }) => all + end - earliest, 0)
    const isAway = (server: string): boolean => sum(last, 'server_up', { server }) === 0
    const figures: Figures = {
      actors,
      isDeaf: isAway('broker'),
      troubles: {
        source: actors.some(({ errorInfo }) => errorInfo?.step === 'fetchingData') && 'does not deliver',
        fixed: isAway('broker') && 'no answer',
        dynamic: isAway('broker') && 'no answer',
        database: isAway('database') && 'no answer',
      },
      notes: {
        source: `${rate(flow('source_frames_total'))} frames/s`,
        fixed: `${short(held(fixed))} records`,
        dynamic: dynamic.length === 1 ? '1 topic' : `${dynamic.length} topics`,
        database: `${rate(stored)} rows/s`,
        applications: streams === 1 ? '1 stream' : `${streams} streams`,
      },
      arrows: {
        fetch: { flow: flow('source_frames_total'), text: '' },
        publish: {
          flow: published,
          text: `${rate(published)}/s`,
          more: seconds(median('broker_publish_seconds')),
        },
        read: { flow: stored, text: `${short(sum(last, 'consumer_lag_records') ?? 0)} behind` },
        write: { flow: stored, text: `${rate(stored)}/s`, more: seconds(median('store_write_seconds')) },
        derive: { flow: flow('derived_records_total'), text: `${rate(flow('derived_records_total'))}/s` },
        follow: { flow: delivered, text: '' },
        deliver: { flow: delivered, text: `${rate(delivered)}/s`, more: seconds(latency) },
        ask: { flow: 0, text: 'ask for streams' },
        tell: { flow: 0, text: 'tells of new streams' },
      },
    }
    picture.show(figures)
    showAlerts(alerts, lasting)
    if (looks.length < 2) return
    tiles.trades.show(published, rate(published))
    tiles.stored.show(stored, rate(stored))
    tiles.delivered.show(delivered, rate(delivered))
    tiles.latency.show(latency, seconds(latency))
  }

  repeat(LOOK_EVERY_MS, signal, look)
  repeat(COUNT_EVERY_MS, signal, count)
  return element(
    'section',
    { class: 'overview' },
    element('h1', { class: 'unseen' }, 'Overview'),
    alerts,
    element('div', { class: 'card picture-card' }, picture.element),
    element('div', { class: 'tiles' }, ...Object.values(tiles).map((tile) => tile.element)),
    element(
      'div',
      { class: 'ways' },
      way('/markets', 'Watch a market', 'Candles from the database, continued live.'),
      way('/streams', 'Make a stream', 'Filter what you want, see it match, read it.'),
      way('/machines/producer', 'See a machine move', 'Its states and steps, as they happen.'),
      way('/data', 'Ask the database', 'Read-only SQL with a table and a plot.'),
    ),
  )
}

function showAlerts(parent: HTMLElement, lasting: readonly Alert[]): void {
  const rows = lasting.map(({ code, message }) =>
    element('a', { href: '/health', class: 'alert' }, element('b', {}, code), ' ', message),
  )
  fill(parent, ...rows)
}

function way(href: string, title: string, text: string): HTMLElement {
  return element(
    'a',
    { href, class: 'card way' },
    element('strong', {}, title),
    element('span', { class: 'soft' }, text),
  )
}

interface Tile {
  readonly element: HTMLElement
  show(value: number | undefined, text: string): void
}

function createTile(title: string, unit: string): Tile {
  const value = element('strong', { class: 'figure' }, '–')
  const line: Sparkline = createSparkline()
  return {
    element: element(
      'div',
      { class: 'card tile' },
      element('h2', {}, title),
      value,
      element('span', { class: 'soft' }, unit),
      line.element,
    ),
    show(amount, text) {
      setText(value, text)
      line.add(amount ?? 0)
    },
  }
}
