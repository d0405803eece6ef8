import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { createEventPrinter } from '../../src/cli/tail/event-printer.ts'
import { brokerLog, type RecordLog } from '../../src/cli/tail/record-log.ts'
import { followTopic, printTopic } from '../../src/cli/tail/topic.ts'
import type { RecordHeaders } from '../../src/domain/record.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Broker } from '../../src/ports/broker.ts'
import { spoilEmbedded } from '../adapters/broker/spoil-embedded.ts'
import { temporaryFolder } from '../adapters/broker/temporary-folder.ts'
import { quietLog } from '../quiet.ts'
import { type RecordingTerminal, recordingTerminal } from './recording-terminal.ts'

const TOPIC = 'market.trades'

async function broker(t: TestContext, partitions: number, folder = ':memory:'): Promise<Broker> {
  const opened = await openEmbeddedBroker({ folder, log: quietLog })
  t.after(() => opened.close())
  await opened.createTopics([{ name: TOPIC, partitions }], AbortSignal.timeout(5_000))
  return opened
}

function publish(
  to: Broker,
  partition: number,
  records: readonly (readonly [headers: Partial<RecordHeaders>, value: string | null])[],
) {
  const outgoing = records.map(([headers, value]) => ({
    key: 'kraken:BTC-EUR',
    value: value === null ? null : Buffer.from(value),
    headers: { v: 1, kind: 'event' as const, ...headers },
  }))
  return to.publish([{ topic: TOPIC, partition, records: outgoing }], AbortSignal.timeout(5_000))
}

function readingOf(log: RecordLog, terminal: RecordingTerminal, limit?: number) {
  const printer = createEventPrinter({ json: true, limit, terminal })
  return { log, topic: TOPIC, from: 'earliest' as const, printer, terminal }
}

describe('tail of a topic', () => {
  test('prints what counts: no marker, no record of a former owner, no repeated position', async (t) => {
    const from = await broker(t, 1)
    const at = (offset: number) => ({ position: { topic: 'f', partition: 0, offset } })
    await publish(from, 0, [
      [{ shard: 0, epoch: 5, ...at(1) }, '{"id":1}'],
      [{ kind: 'marker', shard: 0, epoch: 9 }, null],
      [{ shard: 0, epoch: 5, ...at(2) }, '{"id":"of a former owner"}'],
      [{ shard: 0, epoch: 9, ...at(1) }, '{"id":"repeated"}'],
      [{ shard: 0, epoch: 9, ...at(2) }, '{"id":2}'],
      [{ shard: 0, epoch: 9, ...at(3) }, 'not JSON'],
      [{ kind: 'control' }, '{"a":1}'],
    ])
    const terminal = recordingTerminal()
    await printTopic(readingOf(brokerLog(from), terminal))
    assert.deepEqual(terminal.printed, [
      '{"id":1}',
      '{"id":2}',
      '{"offset":6,"key":"kraken:BTC-EUR","value":{"a":1}}',
    ])
    assert.match(terminal.noted.join(), /offset 5 .*not JSON/)
  })

  test('tells of offsets that nobody can read, and prints all others', async (t) => {
    const folder = await temporaryFolder(t)
    const from = await broker(t, 1, folder)
    for (const id of ['a', 'spoilt', 'b', 'c']) await publish(from, 0, [[{}, `{"id":"${id}"}`]])
    spoilEmbedded(folder, 'spoilt')
    const terminal = recordingTerminal()
    await printTopic(readingOf(brokerLog(from), terminal))
    assert.deepEqual(terminal.printed.join('\n').split('\n'), ['{"id":"a"}', '{"id":"b"}', '{"id":"c"}'])
    assert.match(terminal.noted.join(), /a hole: offsets 1 to 1 of partition 0 cannot be read/)
  })

  test('ends at the end as of its start, over all partitions and pages', async (t) => {
    const from = await broker(t, 3)
    const ids = (partition: number, count: number) =>
      Array.from({ length: count }, (_, i) => `{"id":"${partition}-${i}"}`)
    await publish(
      from,
      0,
      ids(0, 2_500).map((value) => [{}, value] as const),
    )
    await publish(
      from,
      2,
      ids(2, 3).map((value) => [{}, value] as const),
    )
    const log = brokerLog(from)
    let isFirst = true
    const growing: RecordLog = {
      describe: log.describe,
      async read(position, waitMs, signal) {
        if (isFirst) await publish(from, 2, [[{}, '{"id":"late"}']])
        isFirst = false
        return log.read(position, waitMs, signal)
      },
    }
    const terminal = recordingTerminal()
    await printTopic(readingOf(growing, terminal))
    assert.deepEqual(terminal.printed, [...ids(0, 2_500), ...ids(2, 3)])
  })

  test('follows all partitions, waits for a platform that is away, and says what retention removed', async (t) => {
    const from = await broker(t, 2)
    await publish(from, 0, [[{}, '"kept"']])
    const log = brokerLog(from)
    const failures = [
      new TapelineError('NOT_RUNNING', 'it restarts'),
      new TapelineError('OFFSET_OUT_OF_RANGE', 'removed'),
    ]
    const terminal = recordingTerminal()
    const flaky: RecordLog = {
      describe: log.describe,
      async read(position, _waitMs, signal) {
        const failure = position.partition === 0 ? failures.shift() : undefined
        if (failure) throw failure
        // One reader of the log does one thing at a time.
        if (position.partition === 1) {
          return position.offset === 0
            ? {
                records: [{ offset: 0, key: null, headers: { v: 1, kind: 'event' }, value: '"other"' }],
                next: 1,
              }
            : await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        }
        return log.read(position, 10, signal)
      },
    }
    await followTopic(readingOf(flaky, terminal, 2))
    assert.deepEqual(terminal.printed.toSorted(), ['"kept"', '"other"'])
    assert.match(terminal.noted.join('\n'), /it restarts; waiting.*a hole: retention/s)
  })

  test('an unknown topic and a refusal end it', async (t) => {
    const from = await broker(t, 1)
    const terminal = recordingTerminal()
    const log = brokerLog(from)
    await assert.rejects(followTopic({ ...readingOf(log, terminal), topic: 'app.x' }), {
      code: 'TOPIC_UNKNOWN',
    })
    const refusing: RecordLog = {
      describe: log.describe,
      read: () => Promise.reject(new TapelineError('FORBIDDEN', 'from afar')),
    }
    await assert.rejects(followTopic(readingOf(refusing, terminal)), { code: 'FORBIDDEN' })
  })
})
