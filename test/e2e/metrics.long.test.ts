import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Transition } from '../../src/ports/actors.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { readLedger } from './ledger.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const EVENTS = 1_000

/** Samples by name and labels, as Prometheus reads them. */
async function scrape(
  api: string,
): Promise<{ readonly text: string; sum(name: string, labels?: string): number }> {
  const text = await (await fetch(`${api}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith('tapeline_'))
  return {
    text,
    sum: (name, labels = '') =>
      lines
        .filter((line) => /^\w+/.exec(line)?.[0] === `tapeline_${name}` && line.includes(labels))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0),
  }
}

async function count(platform: PlatformProcess, query: string): Promise<number> {
  return (await platform.sql<{ n: number }>(`select count(*)::int as n from ${query}`))[0]?.n ?? -1
}

async function start(t: TestContext) {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const ledger = join(folder.path, 'ledger')
  const trace = join(folder.path, 'trace')
  const simulator = await startSimulatorThread({ seed: 1, rate: 200, events: EVENTS, ledger })
  t.after(() => simulator.close())
  const platform = new PlatformProcess(data, ['--simulator', simulator.url, '--trace', trace])
  t.after(() => platform.kill())
  await platform.start()
  return { platform, simulator, ledger, trace, api: await platform.api() }
}

test('each counter moves by what the ledger, the database, the client and the trace say', async (t) => {
  const { platform, ledger, trace, api } = await start(t)
  const client = await StreamClient.open(api)
  t.after(() => client.socket.terminate())
  await client.request({ channel: 'trade', symbols: ['*'] })
  await until('all are emitted', async () => (await readLedger(ledger).catch(() => [])).length === EVENTS)
  await until('all are stored', async () => (await count(platform, 'trades')) === EVENTS)
  const delivered = () => client.frames.reduce((sum, { events }) => sum + events.length, 0)
  const tables = async (): Promise<number> =>
    (await count(platform, 'trades')) + (await count(platform, 'quotes')) + (await count(platform, 'status'))
  // Quotes go on: all is compared within a moment in which none was written.
  let metrics = await scrape(api)
  await until('what is stored stands still', async () => {
    const before = await scrape(api)
    const rows = await tables()
    metrics = await scrape(api)
    return rows === before.sum('stored_rows_total') && rows === metrics.sum('stored_rows_total')
  })
  await until('the client has what was derived and handed over', async () => {
    metrics = await scrape(api)
    const counts = ['derived_records_total', 'delivered_events_total'].map((name) => metrics.sum(name))
    return counts.every((count) => count === delivered())
  })
  const { sum } = metrics
  assert.equal(sum('published_records_total', 'channel="trade"'), EVENTS)
  assert.equal(sum('derived_records_total'), delivered(), 'one stream has all that was derived')
  assert.ok(delivered() > 0 && delivered() <= EVENTS)
  assert.equal(sum('gaps_total'), await count(platform, "status where state = 'gap'"))
  for (const name of ['dead_letters_total', 'source_dropped_total', 'refused_total'])
    assert.equal(sum(name), 0, name)
  assert.deepEqual([sum('streams'), sum('topics'), sum('sockets')], [1, 1, 1])
  assert.ok(sum('source_frames_total') >= EVENTS)
  for (const hop of ['received', 'published', 'stored', 'delivered'])
    assert.ok(sum('hop_seconds_count', `hop="${hop}"`) > 0, hop)
  for (const resource of ['heap', 'event_loop', 'streams', 'topics', 'sockets'])
    assert.match(metrics.text, new RegExp(`^tapeline_limit_ratio\\{resource="${resource}"\\} `, 'm'))
  assert.ok(sum('state_seconds_total', 'machine="producer"') > 0)
  assert.equal(sum('actors', 'machine="producer"'), 1)
  const known = new Set(metrics.text.match(/(?<=^# TYPE )\S+/gm))
  assert.equal(known.size, metrics.text.match(/^# HELP /gm)?.length, 'each metric says what it means')
  if (process.env['PATH']?.split(':').some((folder) => existsSync(`${folder}/promtool`)))
    execFileSync('promtool', ['check', 'metrics'], { input: metrics.text, stdio: 'pipe' })

  const last = await scrape(api)
  assert.equal(await platform.stop(), 0, platform.output)
  const lines = (await readFile(trace, 'utf8')).split('\n').filter(Boolean)
  const edges = Map.groupBy(
    lines.map((line) => JSON.parse(line) as Transition),
    ({ machine, from, event, to }) => `machine="${machine}",from="${from}",event="${event}",to="${to}"`,
  )
  assert.ok(edges.size > 5)
  for (const [edge, taken] of edges) {
    const counted = last.sum('transitions_total', edge)
    assert.ok(counted <= taken.length, `${edge}: counted ${counted}, taken ${taken.length}`)
  }
  const quiet = [...edges].filter(([edge]) => edge.includes('coordinator') && edge.includes('CREATE'))
  assert.ok(quiet.length > 0)
  for (const [edge, taken] of quiet) assert.equal(last.sum('transitions_total', edge), taken.length, edge)
})
