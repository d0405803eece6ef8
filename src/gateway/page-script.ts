/**
 * The script of the first page, as text: it runs in the browser, and stays inside the page so that this is one answer.
 * Every value goes in by `textContent`: whatever an application calls its stream stays text.
 */
export const PAGE_SCRIPT = `
'use strict'
const REFRESH_MS = 2000
const byId = (id) => document.getElementById(id)
let key = sessionStorage.getItem('tapeline-key')
let before = { at: 0, ends: new Map() }

async function get(path) {
  const headers = key ? { authorization: 'Bearer ' + key } : {}
  const answer = await fetch(path, { headers, signal: AbortSignal.timeout(5000) })
  if (answer.status === 401) throw new Error('key')
  return answer.json()
}

function cell(tag, { text, title, look }) {
  const element = document.createElement(tag)
  element.textContent = text
  if (title) element.title = title
  if (look) element.className = look
  return element
}

const plain = (text, look) => ({ text: String(text), look })
const number = (value) => ({ text: value.toLocaleString('en'), look: 'number' })

function fill(id, heads, rows) {
  const lines = rows.length > 0 ? rows : [[plain('none yet', 'soft')]]
  const row = (tag, cells) => {
    const element = document.createElement('tr')
    element.append(...cells.map((each) => cell(tag, each)))
    return element
  }
  byId(id).replaceChildren(row('th', heads), ...lines.map((cells) => row('td', cells)))
}

function since(time) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000))
  if (seconds < 60) return seconds + ' s'
  return seconds < 3600 ? Math.floor(seconds / 60) + ' min' : Math.floor(seconds / 3600) + ' h'
}

function showActors(actors) {
  fill('actors', ['actor', 'machine', 'state', 'for', 'restarts', 'failure'].map((head) => plain(head)), actors.map((actor) => [
    { text: actor.id, title: JSON.stringify(actor.context, null, 1) },
    plain(actor.machine, 'soft'),
    plain(actor.state, actor.state === 'error' ? 'bad' : 'good'),
    plain(since(actor.since)),
    number(actor.restarts),
    plain(actor.errorInfo ? actor.errorInfo.code + ': ' + actor.errorInfo.message : '', 'bad'),
  ]))
}

function showStreams(streams, rates) {
  const heads = ['stream', 'application', 'channel', 'symbols', 'exchanges'].map((head) => plain(head))
  fill('streams', [...heads, plain('records/s', 'number'), plain('warnings')], streams.map((stream) => [
    { text: stream.id, title: 'topic ' + stream.topic },
    plain(stream.app, 'soft'),
    plain(stream.spec.interval ? stream.spec.interval + ' candles' : stream.spec.channel),
    { text: shorten(stream.spec.symbols), title: stream.spec.symbols.join(' ') },
    plain(shorten(stream.spec.exchanges) || 'all'),
    number(rates.get(stream.topic) ?? 0),
    warningsOf(stream.warnings ?? []),
  ]))
}

function warningsOf(warnings) {
  const lines = warnings.map(({ value, message, near }) => value + ': ' + message + (near.length > 0 ? '; near to it: ' + near.join(', ') : ''))
  const more = lines.length > 1 ? ' and ' + (lines.length - 1) + ' more' : ''
  return { text: lines.length > 0 ? lines[0] + more : '', title: lines.join('\\n'), look: 'bad' }
}

function shorten(names) {
  return names.length > 4 ? names.slice(0, 4).join(' ') + ' and ' + (names.length - 4) + ' more' : names.join(' ')
}

function showTopics(topics, rates) {
  fill('topics', [plain('topic'), plain('partitions', 'number'), plain('records', 'number'), plain('records/s', 'number')], topics.map((topic) => [
    plain(topic.name), number(topic.partitions), number(topic.end - topic.earliest), number(rates.get(topic.name) ?? 0),
  ]))
}

function ratesOf(topics) {
  const at = performance.now()
  const seconds = (at - before.at) / 1000
  const rates = new Map(topics.map(({ name, end }) => {
    const former = before.ends.get(name)
    return [name, former === undefined ? 0 : Math.round((end - former) / seconds)]
  }))
  before = { at, ends: new Map(topics.map(({ name, end }) => [name, end])) }
  return rates
}

function showReady({ ready, checks }) {
  const failing = checks.filter((check) => !check.ok)
  byId('ready').textContent = ready ? 'ready' : 'not ready'
  byId('ready').className = 'badge ' + (ready ? 'good' : 'bad')
  byId('note').textContent = failing.map((check) => check.name + (check.detail ? ': ' + check.detail : '')).join('; ')
}

async function refresh() {
  const ready = await get('/readyz')
  showReady(ready)
  const [{ actors }, { streams }, { topics }, { alerts }] = await Promise.all(
    ['/v1/actors', '/v1/streams', '/v1/topics?all=true', '/v1/alerts'].map(get),
  )
  byId('sign-in').hidden = true
  const rates = ratesOf(topics)
  showActors(actors)
  showStreams(streams, rates)
  showTopics(topics, rates)
  byId('alerts-section').hidden = alerts.length === 0
  fill('alerts', ['what', 'code', 'message', 'for'].map((head) => plain(head)), alerts.map((alert) => [
    plain(alert.id), plain(alert.code, 'bad'), plain(alert.message), plain(since(alert.since)),
  ]))
}

function showFailure(failure) {
  byId('sign-in').hidden = failure.message !== 'key'
  if (failure.message === 'key') return
  byId('ready').textContent = 'no answer'
  byId('ready').className = 'badge bad'
}

async function run() {
  if (!document.hidden) await refresh().catch(showFailure)
  setTimeout(run, REFRESH_MS)
}

byId('sign-in').addEventListener('submit', (event) => {
  event.preventDefault()
  key = byId('key').value
  sessionStorage.setItem('tapeline-key', key)
  refresh().catch(showFailure)
})
run()
`
