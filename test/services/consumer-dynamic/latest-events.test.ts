import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { StreamBatch } from '../../../src/ports/pipeline.ts'
import { LatestEvents } from '../../../src/services/consumer-dynamic/latest-events.ts'

interface Named {
  readonly symbol: string
  readonly interval?: string
}

/** A batch of events that are at an exchange, one an offset. */
function batchOf(from: number, events: readonly Named[]): StreamBatch {
  return {
    ...{ topic: 'app.x', topicId: 'x', from, next: from + events.length, after: emptyMemory(), reset: null },
    events: events.map((event, i) => ({
      offset: from + i,
      value: Buffer.from(JSON.stringify({ exchange: 'kraken', ...event })),
    })),
  }
}

const offsetsOf = (latest: LatestEvents): readonly number[] => latest.events().map(({ offset }) => offset)

describe('the latest events of a connection that is too slow for all', () => {
  test('are one a market, in the order in which they came; the others are counted', () => {
    const latest = new LatestEvents()
    latest.take(batchOf(0, [{ symbol: 'A-USD' }, { symbol: 'B-USD' }]), 0)
    latest.take(batchOf(2, [{ symbol: 'A-USD' }]), 0)
    assert.deepEqual([offsetsOf(latest), latest.skipped], [[1, 2], 1])
  })

  test('are one an interval of candles too', () => {
    const latest = new LatestEvents()
    const candles = ['1m', '5m', '1m'].map((interval) => ({ symbol: 'A-USD', interval }))
    latest.take(batchOf(0, candles), 0)
    assert.deepEqual(offsetsOf(latest), [1, 2])
  })

  test('leave out what the connection has, and are none once they are taken', () => {
    const latest = new LatestEvents()
    latest.take(batchOf(5, [{ symbol: 'A-USD' }, { symbol: 'B-USD' }]), 6)
    assert.deepEqual([offsetsOf(latest), latest.skipped], [[6], 0])
    latest.clear()
    assert.deepEqual([offsetsOf(latest), latest.skipped], [[], 0])
  })
})
