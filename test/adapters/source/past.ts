import type { SourceName } from '../../../src/adapters/source/index.ts'
import type { PastTrade } from '../../../src/simulator/exchanges/dialect.ts'
import { DIALECTS, isSimulatedExchange } from '../../../src/simulator/exchanges/index.ts'
import type { RestAnswer } from './service.ts'

export type { PastTrade }

/** The exchanges that answer for the trades of the past. */
export const PASTS: readonly SourceName[] = Object.keys(DIALECTS) as SourceName[]

/** The id of a past trade as the source gives it. */
export function pastId(name: string, { id }: PastTrade): string {
  return String(name === 'okx' ? id * 2 : id)
}

/** What a service answers by REST of its past. */
export function answerPast(name: SourceName, url: URL, trades: readonly PastTrade[]): RestAnswer {
  if (!isSimulatedExchange(name)) return { status: 404, body: { message: 'NotFound' } }
  const { past } = DIALECTS[name]
  if (name === 'kraken' && past.asks(url) !== past.nameOf?.('BTC-USD'))
    return { body: { error: ['EQuery:Unknown asset pair'] } }
  return { body: past.answer(url, name === 'okx' ? trades.flatMap(fillsOf) : trades, Date.now()) }
}

/** A trade as two fills of one order, as OKX's WebSocket folds them: the second has the id of the trade. */
function fillsOf(trade: PastTrade): readonly PastTrade[] {
  return [trade.id * 2 - 1, trade.id * 2].map((id) => ({ ...trade, id, size: trade.size / 2 }))
}
