import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { startCollector } from './collector.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const HOPS = ['receive', 'publish', 'derive', 'store', 'deliver']

async function start(t: TestContext, environment: Record<string, string>, args: readonly string[] = []) {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  const logFile = join(folder.path, 'log')
  await copyStoreTemplate(join(data, 'store'))
  const simulator = await startSimulatorThread({ seed: 1, rate: 200 })
  t.after(() => simulator.close())
  const platform = new PlatformProcess(data, ['--simulator', simulator.url, ...args], environment, {
    logFile,
  })
  t.after(() => platform.kill())
  await platform.start()
  const client = await StreamClient.open(await platform.api())
  t.after(() => client.socket.terminate())
  await client.request({ channel: 'trade', symbols: ['*'] })
  await until('trades are delivered', () => client.frames.length > 10)
  return { platform, client, log: () => readFile(logFile, 'utf8') }
}

test('one trace covers a batch from its source to an application and the database', async (t) => {
  const collector = await startCollector()
  t.after(() => collector.close())
  const key = 'otlp-key-83hf7s9d'
  const { platform, log } = await start(
    t,
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: `x-collector-key=${key}`,
      TAPELINE_TELEMETRY_SAMPLE_EVERY: '5',
    },
    ['--log', 'json', '--log-level', 'debug'],
  )
  await until('whole traces were sent', () => collector.whole(HOPS).length > 2)
  const [trace = []] = collector.whole(HOPS)
  const of = (name: string) => trace.filter((span) => span.name === name)
  const [receive, publish, derive] = [of('receive')[0], of('publish')[0], of('derive')[0]]
  assert.deepEqual(
    [receive?.parentSpanId, receive?.attributes['tapeline.source']],
    [undefined, 'cryptocompare'],
  )
  assert.equal(publish?.parentSpanId, receive?.spanId)
  assert.equal(derive?.parentSpanId, publish?.spanId)
  for (const span of of('store')) assert.equal(span.parentSpanId, publish?.spanId)
  for (const span of of('deliver')) assert.equal(span.parentSpanId, derive?.spanId)
  assert.match(of('deliver')[0]?.attributes['messaging.destination.name'] ?? '', /^app\./)
  for (const { traceId, spanId, startTimeUnixNano, endTimeUnixNano } of trace) {
    assert.match(traceId, /^[0-9a-f]{32}$/)
    assert.match(spanId, /^[0-9a-f]{16}$/)
    assert.ok(BigInt(startTimeUnixNano) <= BigInt(endTimeUnixNano))
  }
  assert.ok(collector.headers.every((each) => each['x-collector-key'] === key))
  await until('they are counted', async () => (await platform.metric('trace_spans_total', 'sent')) > 0)
  assert.equal(await platform.stop(), 0, platform.output)
  const text = await log()
  assert.ok(!text.includes(key), 'the key of the collector is in no line')
  const hops = text
    .split('\n')
    .filter((line) => line.includes('"msg":"hop"') && line.includes(trace[0]?.traceId ?? ''))
    .map((line) => (JSON.parse(line) as { hop: string }).hop)
  assert.deepEqual(new Set(hops), new Set(HOPS), 'the log follows the batch by the same id')
})

test('a collector that is away costs spans, and nothing else; the platform ends in time', async (t) => {
  const collector = await startCollector()
  await collector.close()
  const { platform, client, log } = await start(t, {
    TAPELINE_TELEMETRY_OTLP: collector.url,
    TAPELINE_TELEMETRY_SAMPLE_EVERY: '1',
  })
  await until('spans were dropped', async () => (await platform.metric('trace_spans_total', 'dropped')) > 0)
  const before = client.frames.length
  await until('trades go on', () => client.frames.length > before + 10)
  await until(
    'no alert lasts',
    async () => (await platform.get<{ alerts: unknown[] }>('/v1/alerts')).alerts.length === 0,
  )
  assert.equal(await platform.stop(), 0, platform.output)
  assert.equal((await log()).match(/traces are not sent/g)?.length, 1)
})

test('nothing of it is there when it is off', async (t) => {
  const { platform } = await start(t, {})
  assert.equal(await platform.metric('trace_spans_total'), 0)
  let records: readonly { readonly headers: object }[] = []
  await until('a partition has trades', async () => {
    const path = '/v1/topics/market.trades/records?partition=0&from=earliest'
    records = (await platform.get<{ records: { headers: object }[] }>(path)).records
    return records.length > 0
  })
  assert.ok(records.every(({ headers }) => !('trace' in headers)))
})
