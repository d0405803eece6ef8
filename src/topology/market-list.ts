import { doubled } from '../async/back-off.ts'
import { pause } from '../async/timers.ts'
import { marketKey } from '../domain/events.ts'
import { symbolMatcher } from '../domain/routing.ts'
import { isAbort, toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { Instrument, Market } from '../ports/source.ts'

const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 5 * 60_000

/** What a source is to be asked for at present: markets by name, and those that globs match of what its exchange lists. */
export interface MarketList {
  current(): readonly Market[]
  /** Whether a market is one of these, now or once its exchange lists it. */
  has(market: Market): boolean
  /** Looks at the listings once, where there are globs. Raises what the exchange does. */
  refresh(signal: AbortSignal): Promise<void>
  /** Looks at the listings now and again from then on, and tells of them. Gives what ends that. */
  follow(hearer: ListingHearer): () => void
}

/** Hears of what exchanges list. */
interface ListingHearer {
  /** What globs match has changed. */
  changed(added: readonly Market[], gone: readonly Market[]): void
  /** All that an exchange lists at present. */
  listed(instruments: readonly Instrument[]): void
}

interface MarketListOptions {
  /** EXCHANGE and a symbol or a glob, canonical. */
  readonly wanted: readonly Market[]
  /** Left out where the source does not tell what it trades. */
  readonly list?: (signal: AbortSignal) => Promise<readonly Instrument[]>
  readonly everyMs: number
  readonly log: Log
}

/** Markets by name are there at once; those of globs come with the first look at the listings, and go when the exchange lists them no more. */
export function createMarketList({ wanted, list, everyMs, log }: MarketListOptions): MarketList {
  const [globs, named] = [wanted.filter(isGlob), wanted.filter((market) => !isGlob(market))]
  const names = new Set(named.map(marketKey))
  const tests = globs.map(({ exchange, symbol }) => ({ exchange, matches: symbolMatcher(symbol) }))
  const isMatch = ({ exchange, symbol }: Market): boolean =>
    tests.some((test) => test.exchange === exchange && test.matches(symbol))
  /** Those that globs match, by their keys. */
  let matched = new Map<string, Market>()

  const look = async (
    ask: NonNullable<typeof list>,
    signal: AbortSignal,
    hearer?: ListingHearer,
  ): Promise<void> => {
    const listed = oneEach(await ask(signal))
    warnOfUnlisted(listed)
    hearer?.listed(listed)
    const found = new Map(
      listed
        .filter((each) => each.isTrading && isMatch(each) && !names.has(marketKey(each)))
        .map(({ exchange, symbol }) => [marketKey({ exchange, symbol }), { exchange, symbol }] as const),
    )
    const added = [...found].filter(([key]) => !matched.has(key)).map(([, market]) => market)
    const gone = [...matched].filter(([key]) => !found.has(key)).map(([, market]) => market)
    matched = found
    if (added.length === 0 && gone.length === 0) return
    log.info({ added: added.length, gone: gone.length, markets: found.size }, 'the listings have changed')
    hearer?.changed(added, gone)
  }

  /** What was said of listings under one symbol, by the symbol's key. */
  const said = new Map<string, string>()
  /** One listing for each symbol: the first that can be traded. The others would be the same market to whoever asks by our names. */
  const oneEach = (listed: readonly Instrument[]): readonly Instrument[] =>
    [...Map.groupBy(listed, marketKey)].flatMap(([key, all]) => {
      const [first = all[0], ...rest] = all.filter(({ isTrading }) => isTrading)
      const others = rest.map(({ name }) => name)
      if (first !== undefined && others.length > 0 && said.get(key) !== others.join()) {
        const { exchange, symbol, name } = first
        log.warn(
          { code: 'MARKET_AMBIGUOUS', exchange, symbol, name, others },
          'several listings have one symbol; the first counts',
        )
        said.set(key, others.join())
      }
      return first ?? []
    })

  /** The markets by name that the exchange does not list, of which the log has been told. */
  let unlisted = new Set<string>()
  /** Some exchanges say nothing of a market that they do not have: it is asked for, and stays silent. */
  const warnOfUnlisted = (listed: readonly Instrument[]): void => {
    const known = new Set(listed.map(marketKey))
    const lacking = named.filter((market) => !known.has(marketKey(market)))
    for (const { exchange, symbol } of lacking.filter((market) => !unlisted.has(marketKey(market))))
      log.warn({ code: 'MARKET_UNKNOWN', exchange, symbol }, 'the exchange does not list this market')
    unlisted = new Set(lacking.map(marketKey))
  }

  return {
    current: () => [...named, ...matched.values()],
    has: (market) => names.has(marketKey(market)) || isMatch(market),
    async refresh(signal) {
      if (list !== undefined && globs.length > 0) await look(list, signal)
    },
    follow(hearer) {
      if (list === undefined) return () => undefined
      const stop = new AbortController()
      const run = async (): Promise<void> => {
        for (let failures = 0; !stop.signal.aborted; ) {
          try {
            await look(list, stop.signal, hearer)
            if (failures > 0) log.info({ failures }, 'the listings can be had again')
            failures = 0
            await pause(everyMs, stop.signal)
          } catch (error) {
            if (isAbort(error) || stop.signal.aborted) return
            const { code, message } = toTapelineError(error, 'SOURCE_UNAVAILABLE')
            if (failures === 0)
              log.warn({ code, reason: message }, 'the listings cannot be had; what is known goes on')
            await pause(doubled(FIRST_RETRY_MS, LONGEST_RETRY_MS, failures++), stop.signal)
          }
        }
      }
      void run()
      return () => stop.abort()
    },
  }
}

/** Several lists as one. */
export function joinMarketLists(lists: readonly MarketList[]): MarketList {
  return {
    current: () => lists.flatMap((list) => list.current()),
    has: (market) => lists.some((list) => list.has(market)),
    refresh: async (signal) => void (await Promise.all(lists.map((each) => each.refresh(signal)))),
    follow(hearer) {
      const stops = lists.map((list) => list.follow(hearer))
      return () => {
        for (const stop of stops) stop()
      }
    },
  }
}

function isGlob({ symbol }: Market): boolean {
  return symbol.includes('*')
}
