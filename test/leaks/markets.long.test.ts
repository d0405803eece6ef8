import { test } from 'node:test'
import type { Trade } from '../../src/domain/events.ts'
import { CheckpointReader } from '../../src/services/producer/checkpoint-reader.ts'
import { GapWatch } from '../../src/services/producer/gap-watch.ts'
import { createQuietMarkets } from '../../src/services/producer/quiet-markets.ts'
import { Shard } from '../../src/services/producer/shard.ts'
import { assertLevel } from './level.ts'

const MARKETS = 10_000
const DAY_MS = 86_400_000
const MARKERS = { trade: 0, quote: 0, candle: 0, book: 0, status: 0 }
const LOG = { id: 'id', since: 0 }
const LOGS = { trade: LOG, quote: LOG, candle: LOG, book: LOG, status: LOG }

test('markets that nobody trades any more leave nothing in windows, checkpoints and the watch of gaps', async () => {
  const { checkpoint, windows } = new CheckpointReader()
  const shard = new Shard(0, {} as never, checkpoint, MARKERS, windows, LOGS)
  const gaps = new GapWatch()
  let now = Date.now()
  const quiet = createQuietMarkets(new Map([[0, shard]]), gaps, () => now)
  let listed = 0
  const season = (): void => {
    const ts = now * 1000
    gaps.interrupt(new Map([[0, ts]]))
    for (let n = 0; n < MARKETS; n++) {
      const symbol = `FUTURE-${listed++}`
      const trade: Trade = {
        ...{ exchange: 'x', symbol, id: String(listed), side: 'buy', price: 1, size: 1 },
        ...{ ts, recvTs: ts },
      }
      const market = `x:${symbol}`
      gaps.close(market, 0, shard.window(market), trade)
      shard.rememberAhead(market, trade)
    }
    gaps.interrupt(new Map([[0, ts]]))
    // Those that were traded since one look are looked at by the next but one.
    for (const days of [1, 100, 1]) {
      now += days * DAY_MS + 1
      quiet.forgetIfDue()
    }
    // As if written with the checkpoint.
    shard.changed.clear()
  }
  await assertLevel(season, { mostBytes: MARKETS * 20, what: `${MARKETS} markets` })
})
