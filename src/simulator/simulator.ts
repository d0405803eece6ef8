import { TapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import { Aggregate } from './aggregate.ts'
import { WalkClock } from './clock.ts'
import { ExchangeFeeds } from './exchanges/feeds.ts'
import { DIALECTS, isSimulatedExchange } from './exchanges/index.ts'
import { Feeds } from './feeds.ts'
import { Ledger } from './ledger.ts'
import { Market, type Universe } from './market.ts'
import {
  ASSETS,
  chooseMarkets,
  DEFAULT_MARKETS,
  marketsOfExchanges,
  type SimulatedMarket,
} from './markets.ts'
import { Misbehaviour } from './misbehaviour.ts'
import { PricePath } from './price-path.ts'
import { SimulatorServer } from './server.ts'
import { Tape } from './tape.ts'

/** How a simulator is started. All but `now` and `log` can be sent to a worker thread. */
export interface SimulatorOptions {
  /** Port to listen on; 0 (the default) lets the system choose. */
  readonly port?: number | undefined
  /** Address to listen on; 127.0.0.1 by default. */
  readonly host?: string | undefined
  /** Decides prices, sizes, sides and gaps; 1 by default. */
  readonly seed?: number | undefined
  /** Trades a second over all markets together; 100 by default. Each market has a fixed share of it. */
  readonly rate?: number | undefined
  /** So many trades are emitted, then nothing more but heartbeats; endless by default. */
  readonly events?: number | undefined
  /** File that each emitted trade is appended to, one JSON line each; none by default. */
  readonly ledger?: string | undefined
  /** Misbehaviour from the start, as `Misbehaviour` describes it: `['ws-close', 'duplicate:0.5']`. None by default. */
  readonly misbehave?: readonly string[] | undefined
  /** Seconds between heartbeats, and between pings; 30 by default, as the service has it. */
  readonly heartbeatSeconds?: number | undefined
  /** The markets there are, by our names (`coinbase:BTC-USD`); all of DEFAULT_MARKETS by default. They share the rate. */
  readonly markets?: readonly string[] | undefined
  /**
   * Exchanges that speak their own protocols, each at a path of its name (`ws://127.0.0.1:PORT/kraken`); none by default. Without `markets` there
   * are then theirs only.
   */
  readonly exchanges?: readonly string[] | undefined
  /** Milliseconds between the updates of tickers, candles and books; 250 by default. */
  readonly quoteMillis?: number | undefined
  /** The time in ms since the epoch; the system's by default. */
  readonly now?: (() => number) | undefined
  readonly log?: Log | undefined
}

export interface SimulatorStats {
  /** Trades emitted so far, whether or not anybody was connected. */
  readonly emitted: number
  /** Whether all trades that `events` asked for have been emitted. */
  readonly ended: boolean
  /** Markets whose walk has begun. */
  readonly markets: number
  readonly connections: number
  readonly subscriptions: number
  /** Connections that were cut because they read too slowly. */
  readonly slowClients: number
  /** Time in ms by which the walk was behind and which was left out: not 0 means that the rate could not be held. */
  readonly lostMillis: number
  readonly duplicates: number
  readonly swaps: number
  readonly garbage: number
  readonly misbehave: readonly string[]
  /** CPU time of the thread that the simulator runs in, in ms. */
  readonly cpuMillis: number
}

/** A running simulator, in this thread or in one of its own. */
export interface Simulator {
  readonly port: number
  /** Address of REST and of the control routes: `http://127.0.0.1:PORT`. */
  readonly url: string
  /** Address of WebSocket v2, to which `?api_key=` is added: `ws://127.0.0.1:PORT/v2`. Any key that is not empty is good. */
  readonly websocketUrl: string
  stats(): Promise<SimulatorStats>
  /** Replaces the misbehaviour; `[]` ends it. Raises USAGE. */
  misbehave(modes: readonly string[]): Promise<void>
  /**
   * Resolves when `events` trades have been emitted and are in the ledger. Rejects with DATA_FOLDER_UNUSABLE when the ledger cannot
   * be written: then nothing more is emitted. Stays open if it is closed before.
   */
  readonly done: Promise<void>
  /** Cuts all connections, stops listening, and closes the ledger with everything in it. Raises DATA_FOLDER_UNUSABLE. */
  close(): Promise<void>
}

/**
 * Starts a server that speaks CryptoCompare's WebSocket v2 and REST on a local port, with trades from a seeded random walk. A market's
 * walk begins at the first subscription to it, and then goes on whether or not anybody is connected.
 *
 * Raises PORT_IN_USE, DATA_FOLDER_UNUSABLE (the ledger), CONFIG_INVALID (a market or a number), USAGE (a misbehaviour).
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const {
    port = 0,
    host = '127.0.0.1',
    seed = 1,
    rate = 100,
    heartbeatSeconds = 30,
    quoteMillis = 250,
  } = options
  checkNumbers({ rate, heartbeatSeconds, quoteMillis, events: options.events })
  let misbehaviour = new Misbehaviour(options.misbehave ?? [])
  const clock = new WalkClock(options.now ?? Date.now)
  const { exchanges = [] } = options
  const feeds = makeFeeds(definitionsOf(options), { seed, rate, clock, exchanges })
  const ledger = options.ledger === undefined ? undefined : await Ledger.open(options.ledger)
  const end = Promise.withResolvers<void>()
  // Whoever awaits `done` still learns of a failure; without a listener it must not end the process.
  end.promise.catch(() => {})

  const tape = new Tape(
    {
      seed,
      feeds,
      clock,
      events: options.events,
      ledger,
      quoteMillis,
      flush: () => server.flush(),
      onEnd: () => {
        Promise.resolve(ledger?.flush()).then(end.resolve, end.reject)
      },
    },
    misbehaviour,
  )
  const stats = (): SimulatorStats => ({
    emitted: tape.emitted,
    ended: tape.ended,
    markets: feeds.markets.filter((market) => market.started).length,
    connections: server.connections,
    subscriptions: server.subscriptions,
    slowClients: server.slow,
    lostMillis: Math.round(tape.lostMillis),
    ...tape.counts,
    misbehave: misbehaviour.modes,
    cpuMillis: threadCpuMillis(),
  })
  const misbehave = (modes: readonly string[]) => {
    misbehaviour = new Misbehaviour(modes)
    tape.misbehaviour = misbehaviour
    server.misbehave(misbehaviour)
    options.log?.info({ modes }, 'the misbehaviour of the simulator has changed')
  }
  const server = new SimulatorServer(
    {
      feeds,
      clock,
      heartbeatSeconds,
      log: options.log,
      exchanges: feeds.exchanges,
      begin: (market) => tape.start(market),
      controlled: { stats, modes: () => misbehaviour.modes, misbehave },
      subscribe(subscription) {
        const found = feeds.find(subscription)
        if (found?.market) tape.start(found.market)
        tape.run()
        return found
      },
    },
    misbehaviour,
  )

  const close = async () => {
    tape.stop()
    await server.close()
    await ledger?.close()
  }
  let closed: Promise<void> | undefined

  const listening = await server.listen(port, host).catch(async (error: unknown) => {
    tape.stop()
    await ledger?.close()
    throw error
  })
  return {
    port: listening,
    url: `http://${host}:${listening}`,
    websocketUrl: `ws://${host}:${listening}/v2`,
    stats: async () => stats(),
    misbehave: async (modes) => misbehave(modes),
    done: end.promise,
    close() {
      closed ??= close()
      return closed
    },
  }
}

function definitionsOf({ markets, exchanges = [] }: SimulatorOptions): readonly SimulatedMarket[] {
  const unknown = exchanges.filter((name) => !isSimulatedExchange(name))
  if (unknown.length > 0)
    throw new TapelineError('CONFIG_INVALID', `the simulator does not speak for ${unknown.join(', ')}`, {
      remedy: `It speaks for ${Object.keys(DIALECTS).join(', ')}.`,
    })
  const own = marketsOfExchanges(exchanges)
  const others = DEFAULT_MARKETS.filter(({ exchange }) => !exchanges.includes(exchange))
  if (markets) return chooseMarkets(markets, [...others, ...own])
  return exchanges.length > 0 ? own : DEFAULT_MARKETS
}

interface Settings {
  readonly seed: number
  readonly rate: number
  readonly clock: WalkClock
  readonly exchanges: readonly string[]
}

function makeFeeds(
  definitions: readonly SimulatedMarket[],
  { seed, rate, clock, exchanges }: Settings,
): Feeds {
  const universe: Universe = {
    seed,
    rate,
    clock,
    ownProtocols: new Set(exchanges),
    totalWeight: definitions.reduce((sum, market) => sum + market.weight, 0),
    paths: new Map(Object.entries(ASSETS).map(([name, asset]) => [name, new PricePath(seed, name, asset)])),
    firstId: clock.wall,
  }
  const markets = definitions.map((definition) => new Market(definition, universe))
  const byPair = Map.groupBy(markets, (market) => `${market.base}~${market.quote}`)
  const aggregates = new Map<string, Aggregate>()
  for (const [pair, [first, ...others]] of byPair) {
    if (first) aggregates.set(pair, new Aggregate([first, ...others]))
  }
  const speaking = exchanges.filter(isSimulatedExchange).map((name) => {
    const own = markets.filter(({ definition }) => definition.exchange === name)
    return [name, new ExchangeFeeds(DIALECTS[name], own, clock)] as const
  })
  return new Feeds(markets, aggregates, new Map(speaking), clock)
}

function checkNumbers(
  numbers: Record<'rate' | 'heartbeatSeconds' | 'quoteMillis', number> & { events: number | undefined },
): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (value === undefined) continue
    const good =
      name === 'events' ? Number.isInteger(value) && value >= 0 : Number.isFinite(value) && value > 0
    if (!good) throw new TapelineError('CONFIG_INVALID', `the simulator cannot run with ${name} ${value}`)
  }
}

/** CPU time of this thread in ms. */
function threadCpuMillis(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
