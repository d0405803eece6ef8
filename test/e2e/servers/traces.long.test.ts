import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { startCollector } from '../collector.ts'
import { until } from '../platform-process.ts'
import { StreamClient } from '../stream-client.ts'
import { openCluster } from './cluster.ts'

test(
  'one trace goes through Kafka, over the borders of three processes',
  requireServer(kafkaMissing()),
  async (t) => {
    const collector = await startCollector()
    t.after(() => collector.close())
    const cluster = await openCluster({
      ...{ seed: 1, rate: 100 },
      roles: { producer: 'producer,coordinator', storage: 'consumer-fixed', gateway: 'gateway' },
      environment: { TAPELINE_TELEMETRY_OTLP: collector.url, TAPELINE_TELEMETRY_SAMPLE_EVERY: '5' },
    })
    t.after(() => cluster.close())
    await Promise.all(cluster.names.map((name) => cluster.process(name).start()))
    const client = await StreamClient.open(cluster.api('gateway'))
    t.after(() => client.socket.terminate())
    await client.request({ channel: 'trade', symbols: ['*'] })
    const names = ['receive', 'publish', 'derive', 'store', 'deliver']
    await until('whole traces were sent', () => collector.whole(names).length > 2)
    const [trace = []] = collector.whole(names)
    const processOf = (name: string) => trace.find((span) => span.name === name)?.instance
    assert.equal(new Set(['publish', 'store', 'deliver'].map(processOf)).size, 3)
    assert.deepEqual(
      [processOf('receive'), processOf('derive')],
      [processOf('publish'), processOf('publish')],
    )
    const ids = new Set(trace.map(({ spanId }) => spanId))
    for (const { name, parentSpanId } of trace)
      assert.ok(name === 'receive' || ids.has(parentSpanId ?? ''), `${name} follows a step of the trace`)
    for (const name of cluster.names) assert.equal(await cluster.process(name).stop(), 0, name)
  },
)
