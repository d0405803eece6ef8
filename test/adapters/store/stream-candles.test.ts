import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candles } from '../../../src/adapters/store/market-queries.ts'
import { claim } from '../../../src/adapters/store/offsets.ts'
import { planWrite, write } from '../../../src/adapters/store/write.ts'
import { segment, unique, writeOf } from '../../contract/store-fixtures.ts'
import { compareCandles } from '../../contract/stream-candles.ts'
import { SEED } from '../../seed.ts'
import { openTemporaryEngine } from './temporary.ts'

test(`candles of a stream are those of the continuous aggregate, which had the minutes before late trades came (seed ${SEED})`, async (t) => {
  const engine = await openTemporaryEngine(t)
  await compareCandles(
    {
      async write(trades) {
        const topic = unique('topic')
        const [target] = await claim(engine, [{ topic, topicId: topic, partition: 0 }])
        assert.ok(target)
        await write(engine, planWrite([writeOf(target, 1, segment('trade', trades))]))
      },
      refresh: () => engine.execute(`call refresh_continuous_aggregate('trade_candles_1m', null, null)`),
      async json(statement) {
        const { rows } = await engine.rows(statement)
        return JSON.parse(rows[0]?.[0] ?? 'null')
      },
      candles: (symbol) => candles(engine, { symbol, interval: '1m', origin: 'trades', limit: 1_000 }),
    },
    Date.UTC(2026, 0, 5) * 1_000,
  )
})
