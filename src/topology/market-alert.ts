import { startInterval } from '../async/timers.ts'
import type { MarketWithoutData, Source } from '../ports/source.ts'
import type { Alerts } from '../telemetry/alerts.ts'

const ID = 'source-markets'
const EVERY_MS = 1_000

/** As many markets are named; of the others there is the number. */
const MOST_NAMED = 20

/** Raises an alert that names the markets that the source does not deliver, for as long as there are any. */
export function watchMarkets(source: Pick<Source, 'health'>, alerts: Alerts): { stop(): void } {
  const look = (): void => {
    const { name, without } = source.health()
    const [first] = without
    if (first === undefined) alerts.clear(ID)
    else alerts.raise(ID, codeOf(first), `${name} gives no data of ${listed(without)}`)
  }
  const timer = startInterval(look, EVERY_MS).unref()
  return {
    stop() {
      timer.stop()
      alerts.clear(ID)
    },
  }
}

function codeOf({ why }: MarketWithoutData): string {
  return why.slice(0, why.indexOf(':'))
}

function listed(without: readonly MarketWithoutData[]): string {
  const named = without
    .slice(0, MOST_NAMED)
    .map(({ exchange, symbol, why }) => `${exchange}:${symbol} (${why})`)
  const others = without.length - named.length
  return [...named, ...(others > 0 ? [`${others} more`] : [])].join(', ')
}
