import { z } from 'zod'
import { exchangeSchema, symbolSchema } from '../../domain/market-names.ts'
import { MOMENT_FORMS } from '../../domain/moment.ts'
import type { Store } from '../../ports/store.ts'
import { createPageCursor, cursorName } from '../page-cursor.ts'
import { gapsSchema } from '../schemas/market-data.ts'
import { deadlineOf, type GatewayServer } from '../server.ts'
import { readGaps } from '../stored-gaps.ts'
import { timeSchema } from '../validation.ts'
import { refuseBackwards } from './market-data.ts'

const MOST_GAPS = 1_000
const USUAL_GAPS = 100

const time = z.iso.datetime({ precision: 6 })
const name = cursorName(300)
const cursors = createPageCursor(
  { flagged: time, source: name, exchange: name, symbol: name, from: time, to: time },
  2_048,
)

/** What was flagged as missing. */
export function registerGaps(app: GatewayServer, store: Store): void {
  app.route({
    method: 'GET',
    url: '/v1/gaps',
    schema: {
      operationId: 'listGaps',
      summary: 'Gaps that were flagged, the latest first',
      description:
        'A time of which trades of a market may be missing. One is filled where history that came later covers all of it. A gap of a whole source has no symbol, and counts for each of its markets.',
      tags: ['market data'],
      querystring: z.strictObject({
        exchange: exchangeSchema.optional().describe('One exchange, such as coinbase; left out means all.'),
        symbol: symbolSchema.optional().describe('One symbol, such as BTC-USD; left out means all.'),
        from: timeSchema('first')
          .optional()
          .describe(`Those that end before it are left out: ${MOMENT_FORMS}.`),
        to: timeSchema('last').optional().describe('Those that begin after it are left out.'),
        limit: z.coerce
          .number()
          .int()
          .min(1)
          .max(MOST_GAPS)
          .default(USUAL_GAPS)
          .describe(`At most so many, 1 to ${MOST_GAPS}.`),
        cursor: z.string().optional().describe('next of an answer: what comes after it.'),
      }),
      response: { 200: gapsSchema },
    },
    config: { errors: ['INPUT_INVALID', 'CURSOR_INVALID', 'STORE_UNAVAILABLE', 'TIMEOUT'] },
    handler: async ({ query }, reply) => {
      refuseBackwards(query)
      const { limit, cursor, ...selection } = query
      const after = cursor === undefined ? undefined : cursors.read(cursor)
      const found = await readGaps(store, selection, { after, limit: limit + 1 }, deadlineOf(reply))
      const page = found.slice(0, limit)
      const last = found.length > limit ? page.at(-1) : undefined
      const gaps = page.map(({ exchange, symbol, ...gap }) => ({
        ...gap,
        ...{ exchange: exchange || null, symbol: symbol || null },
      }))
      return { gaps, next: last === undefined ? null : cursors.write(last) }
    },
  })
}
