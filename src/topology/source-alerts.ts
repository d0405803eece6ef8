import { startInterval } from '../async/timers.ts'
import type { MarketWithoutData, Source, SourceHealth } from '../ports/source.ts'
import type { Alerts } from '../telemetry/alerts.ts'

const ID = 'source-markets'
const EVERY_MS = 1_000

/** As many markets are named; of the others there is the number. */
const MOST_NAMED = 20

/** What these alerts hold to. */
interface SourceAlertSettings {
  /** How long one source of several may be away before it is told, in milliseconds. */
  readonly alertAfterMs: number
}

/**
 * Raises an alert that names the markets that the sources do not deliver, for as long as there are any; and one for each source of several that
 * has been away for longer than `alertAfterMs`. Where there is one source alone, the producer's machine shows that.
 */
export function watchSources(
  source: Pick<Source, 'health'>,
  alerts: Alerts,
  { alertAfterMs }: SourceAlertSettings,
): { stop(): void } {
  /** Since when each failing source has failed (performance.now). */
  const failingSince = new Map<string, number>()
  const lookAt = ({ name, way, failure }: SourceHealth): void => {
    if (way !== 'none' || failure === undefined) {
      failingSince.delete(name)
      alerts.clear(idOf(name))
      return
    }
    const since = failingSince.get(name) ?? performance.now()
    failingSince.set(name, since)
    if (performance.now() - since >= alertAfterMs)
      alerts.raise(idOf(name), failure.code, `${name} is away, the other sources go on: ${failure.message}`)
  }
  const look = (): void => {
    const { name, without, members = [] } = source.health()
    for (const member of members) lookAt(member)
    const [first] = without
    if (first === undefined) alerts.clear(ID)
    else alerts.raise(ID, codeOf(first), `${name} gives no data of ${listed(without)}`)
  }
  const timer = startInterval(look, EVERY_MS).unref()
  return {
    stop() {
      timer.stop()
      alerts.clear(ID)
      for (const name of failingSince.keys()) alerts.clear(idOf(name))
    },
  }
}

function idOf(name: string): string {
  return `source-${name}`
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
