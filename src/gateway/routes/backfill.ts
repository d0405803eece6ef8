import { z } from 'zod'
import { GAP_CAUSES, type Status } from '../../domain/events.ts'
import { parseMarket } from '../../domain/market-names.ts'
import { MOMENT_FORMS } from '../../domain/moment.ts'
import { type OpenGap, openGaps } from '../../domain/open-gaps.ts'
import { isoMicros, parseIsoMicros } from '../../domain/time.ts'
import type { Backfills } from '../../ports/backfills.ts'
import { type Market, PAST_CHANNELS } from '../../ports/source.ts'
import type { Store } from '../../ports/store.ts'
import { requireOperator } from '../guard.ts'
import { backfillSchema } from '../schemas/market-data.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'
import { timeSchema } from '../validation.ts'
import { refuseBackwards } from './market-data.ts'

/** A step runs for some seconds, and waits for the service and for what comes live. */
const STEP_MS = 125_000
const QUERY_MS = 10_000
/** As many events of a market are looked at. */
const MOST_STATUSES = 10_000

const bodySchema = z.strictObject({
  market: z
    .string()
    .transform((text, context) => {
      const found = parseMarket(text)
      if (found === undefined) context.addIssue('is not a market such as kraken:BTC-USD')
      return found ?? z.NEVER
    })
    .describe('EXCHANGE:BASE-QUOTE, such as kraken:BTC-USD.'),
  channel: z
    .enum(PAST_CHANNELS)
    .default('trade')
    .describe('What: trades, or the closed candles of a minute that the exchange itself has.'),
  from: timeSchema('first').describe(`First event time: ${MOMENT_FORMS}.`),
  to: timeSchema('last').describe('Last event time, written as from; the end is included.'),
})

/** Trades and candles of the past, on request. */
export function registerBackfill(
  app: GatewayServer,
  { backfills, store }: { readonly backfills: Backfills; readonly store: Store },
): void {
  app.route({
    method: 'POST',
    url: '/v1/backfill',
    schema: {
      operationId: 'backfill',
      summary: 'Publish trades or candles of the past',
      description:
        'Of the history of the source that has the market, the oldest first. The events are marked as entering again: the database leaves out what it has, and streams leave them out. One request does some seconds of work; go on with next as from. Asking twice never makes a second row. From this machine or with an admin key.',
      tags: ['market data'],
      body: bodySchema,
      response: { 200: backfillSchema },
    },
    config: {
      errors: [
        'INPUT_INVALID',
        'BODY_NOT_JSON',
        'FORBIDDEN',
        'HISTORY_UNAVAILABLE',
        'MARKET_UNKNOWN',
        'SOURCE_UNAVAILABLE',
        'SOURCE_RATE_LIMITED',
        'STORE_UNAVAILABLE',
        'TIMEOUT',
      ],
    },
    preValidation: async (request) => requireOperator(callerIn(request)),
    handler: async ({ body }, reply) => {
      refuseBackwards(body)
      const { market, channel, from, to } = body
      const signal = deadlineOf(reply, STEP_MS)
      // Gaps are of trades: candles fill none.
      const gaps = channel === 'candle' ? [] : await gapsOf(store, market, { from, to }, signal)
      const { count, since, next } = await backfills.step({ market, channel, from, to, gaps }, signal)
      const counts = { trades: 0, candles: 0, [`${channel}s`]: count }
      return { ...counts, since: isoMicros(since), next: next === null ? null : isoMicros(next) }
    },
  })
}

const rowSchema = z.object({
  state: z.enum(['gap', 'recovered']),
  from_ts: z.string(),
  to_ts: z.string(),
  cause: z.enum(GAP_CAUSES).nullable(),
})

/** What is flagged as missing of a market in a time, as the database has it. */
async function gapsOf(
  store: Store,
  { exchange, symbol }: Market,
  { from, to }: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<readonly OpenGap[]> {
  // Names of markets have no quotes.
  const { rows } = await store.query(
    `select state, from_ts, to_ts, cause from status
     where exchange = '${exchange}' and symbol = '${symbol}' and state in ('gap', 'recovered')
       and from_ts <= '${isoMicros(to)}' and to_ts >= '${isoMicros(from)}'
     order by ts desc limit ${MOST_STATUSES}`,
    { maxRows: MOST_STATUSES, timeoutMs: QUERY_MS },
    signal,
  )
  const statuses = rows.map((row): Status => {
    const { state, from_ts, to_ts, cause } = rowSchema.parse(row)
    const [first = 0, last = 0] = [parseIsoMicros(from_ts), parseIsoMicros(to_ts)]
    const about = { source: '', exchange, symbol, state, from: first, to: last, detail: '', ts: 0 }
    return { ...about, ...(cause !== null && { cause }) }
  })
  return openGaps(statuses)
}
