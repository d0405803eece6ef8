import type { StoredGap } from '../../src/client/index.ts'
import { ask, askText, client, repeat, wordsOf } from '../api.ts'
import { openDeadLetters } from '../dead-letters.ts'
import { element, fill } from '../element.ts'
import { count, moment, seconds, short, span, words } from '../format.ts'
import { type Metrics, readMetrics, sum } from '../metrics.ts'
import { type Actor, type Alert, MACHINES } from '../platform.ts'
import type { Visit } from '../router.ts'
import { createTable } from '../table.ts'

/** What is wrong, and what was: alerts, gaps, dead letters, how far consumers are behind, and all processes. */
export function health({ signal }: Visit): HTMLElement {
  const alerts = createTable(
    ['What', 'Code', 'Says', 'For'],
    'No alert: nothing lasts that a person should know about.',
    { narrow: 'stack' },
  )
  const processes = createTable(
    ['Process', 'Actor', 'State', 'For', 'Restarts', 'Failure'],
    'No machine runs.',
    { narrow: 'stack' },
  )
  const deaf = element(
    'p',
    { class: 'soft', hidden: true },
    'Processes hear of each other by the broker, which does not answer: this is what this process knows by itself.',
  )
  const lag = createTable(['Topic', 'Records', 'Most in a partition'], 'This process stores nothing.')
  const gaps = createTable(['Market', 'From', 'To', 'Lasted', 'Cause', 'Filled'], 'No gap was flagged.', {
    narrow: 'stack',
  })
  const resources = element('dl', { class: 'facts' })
  const gapNote = element('p', { class: 'soft', hidden: true })

  repeat(2_000, signal, async () => {
    const [{ alerts: lasting }, { actors }, text] = await Promise.all([
      ask<{ alerts: readonly Alert[] }>('/v1/alerts', { signal }),
      ask<{ actors: readonly Actor[] }>('/v1/actors', { signal }),
      askText('/metrics', signal),
    ])
    const metrics = readMetrics(text)
    alerts.show(lasting.map(alertRow))
    processes.show(actors.map(actorRow))
    deaf.hidden = sum(metrics, 'server_up', { server: 'broker' }) !== 0
    lag.show(lagRows(metrics))
    showResources(resources, metrics)
  })
  repeat(10_000, signal, async () => {
    try {
      gaps.show((await client().gaps({ limit: 50 }, { signal })).map(gapRow))
      gapNote.hidden = true
    } catch (error) {
      gapNote.hidden = false
      fill(gapNote, `Gaps are not shown: ${wordsOf(error)}.`)
    }
  })

  return element(
    'section',
    { class: 'health stack' },
    element('h1', {}, 'Health'),
    element('div', { class: 'card', id: 'alerts' }, element('h2', {}, 'Alerts'), alerts.element),
    element(
      'div',
      { class: 'pair' },
      card('Processes and machines', deaf, processes.element),
      card('Not stored yet', lag.element),
    ),
    element(
      'div',
      { class: 'pair' },
      card('Latest gaps', gapNote, gaps.element),
      card('This process', resources),
    ),
    card('Dead letters', openDeadLetters(signal)),
  )
}

function card(title: string, ...content: readonly HTMLElement[]): HTMLElement {
  return element('div', { class: 'card' }, element('h2', {}, title), ...content)
}

function alertRow({ id, code, message, since }: Alert) {
  const link = element('a', { href: `/docs/errors#${code}`, class: 'bad' }, code)
  return [id, link, message, span(Date.now() - Date.parse(since))]
}

function actorRow({ id, instance, machine, state, since, restarts, errorInfo }: Actor) {
  const query = `?actor=${encodeURIComponent(id)}`
  const link = element('a', { href: `/machines/${machine}${query}`, title: MACHINES[machine].title }, id)
  const look = errorInfo === null ? 'good' : 'bad'
  const failure = errorInfo === null ? '' : `${errorInfo.code}: ${errorInfo.message}`
  const dot = element('span', { class: `state ${look}` }, words(state))
  return [instance, link, dot, span(Date.now() - Date.parse(since)), count(restarts), failure]
}

/** Behind in all partitions of a topic, and where it is the most. */
function lagRows({ samples }: Metrics) {
  const byTopic = Map.groupBy(
    samples.get('tapeline_consumer_lag_records') ?? [],
    ({ labels }) => labels.get('topic') ?? '',
  )
  return [...byTopic].map(([topic, partitions]) => {
    const all = partitions.reduce((total, { value }) => total + value, 0)
    return [topic, count(all), count(Math.max(...partitions.map(({ value }) => value)))]
  })
}

function gapRow({ source, exchange, symbol, from, to, cause, detail, filled }: StoredGap) {
  const whole = `all of ${exchange ?? source}`
  const market =
    symbol === null || exchange === null
      ? whole
      : element('a', { href: `/markets/${exchange}/${encodeURIComponent(symbol)}` }, `${exchange} ${symbol}`)
  const lasted = span(Date.parse(to) - Date.parse(from))
  const why = element('span', { title: detail }, cause ?? detail)
  return [market, moment(from), moment(to), lasted, why, filled ? 'yes' : 'no']
}

function showResources(parent: HTMLElement, { samples }: Metrics): void {
  const value = (name: string): number | undefined => samples.get(name)?.[0]?.value
  const megabytes = (bytes: number | undefined): string =>
    bytes === undefined ? '–' : `${short(bytes / 1024 / 1024)} MB`
  const started = value('process_start_time_seconds')
  const rows = [
    ['Runs for', started === undefined ? '–' : span(Date.now() - started * 1000)],
    ['Memory', megabytes(value('process_resident_memory_bytes'))],
    ['Heap', megabytes(value('nodejs_heap_size_used_bytes'))],
    ['Event loop, 99 %', seconds(value('nodejs_eventloop_lag_p99_seconds'))],
    ['Sockets', short(value('tapeline_sockets') ?? 0)],
    ['Streams', short(value('tapeline_streams') ?? 0)],
    ['Dead letters', short(value('tapeline_dead_letters_total') ?? 0)],
  ] as const
  fill(parent, ...rows.flatMap(([name, text]) => [element('dt', {}, name), element('dd', {}, text)]))
}
