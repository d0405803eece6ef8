import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { Span } from '../../src/ports/trace.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { createTracer } from '../../src/telemetry/tracer.ts'
import { startCollector } from '../e2e/collector.ts'
import { quietLog } from '../quiet.ts'

function setUp(endpoint: string | undefined, sampleEvery = 1) {
  const meter = createMeter()
  const warned: string[] = []
  const log = { ...quietLog, warn: (_fields: object, message: string) => void warned.push(message) }
  const resource = { 'service.instance.id': 'here' }
  const tracer = createTracer({ endpoint, headers: {}, sampleEvery, resource, log, meter })
  const end = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const context = tracer.sample() ?? ''
      const span: Span = {
        ...{ context, name: 'publish', kind: 'producer' },
        ...{
          start: 1_795_507_200_123_456,
          end: 1_795_507_200_223_456,
          attributes: { topic: 't', records: i },
        },
      }
      tracer.end(span)
    }
  }
  const counted = async (outcome: string): Promise<number> => {
    const line = (await meter.render()).split('\n').find((each) => each.includes(`outcome="${outcome}"`))
    return Number(line?.split(' ').at(-1) ?? 0)
  }
  return { tracer, end, counted, warned }
}

test('spans that wait are sent when the tracer is closed, with times to the microsecond', async (t) => {
  const collector = await startCollector()
  t.after(() => collector.close())
  const { tracer, end, counted } = setUp(`${collector.url}/`)
  end(1_000)
  await tracer.close()
  assert.equal(collector.spans.length, 1_000)
  assert.equal(await counted('sent'), 1_000)
  assert.deepEqual(
    collector.spans.slice(-1).map(({ startTimeUnixNano, endTimeUnixNano, kind, instance, attributes }) => ({
      ...{ startTimeUnixNano, endTimeUnixNano, kind, instance, attributes },
    })),
    [
      {
        ...{ startTimeUnixNano: '1795507200123456000', endTimeUnixNano: '1795507200223456000' },
        ...{ kind: 4, instance: 'here', attributes: { topic: 't', records: '999' } },
      },
    ],
  )
})

test('one batch in so many begins a trace; what follows a step is in its trace', () => {
  const { tracer } = setUp(undefined, 4)
  const contexts = Array.from({ length: 8 }, () => tracer.sample())
  assert.deepEqual(
    contexts.map((context) => context !== undefined),
    [true, false, false, false, true, false, false, false],
  )
  const [first = ''] = contexts
  assert.match(first, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  assert.equal(tracer.follow(first).slice(0, 35), first.slice(0, 35))
  assert.notEqual(tracer.follow(first), first)
})

test('a collector that never answers holds up no end, and memory has a bound', async (t) => {
  const server = createServer(() => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const { tracer, end, counted, warned } = setUp(`http://127.0.0.1:${port}`)
  end(10_000)
  assert.equal(await counted('dropped'), 10_000 - 4_096)
  await tracer.close()
  assert.equal(await counted('dropped'), 10_000)
  assert.deepEqual(warned, ['traces are not sent'])
})
