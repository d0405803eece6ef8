import { ArrivalQueue } from '../../../src/adapters/source/feed/arrival-queue.ts'
import { marketSubscribed, status } from '../../../src/adapters/source/feed/status.ts'
import { marketKey, type Trade } from '../../../src/domain/events.ts'
import type { TapelineError } from '../../../src/errors.ts'
import type { Market, Source } from '../../../src/ports/source.ts'

/** A connection gets the last trades of a market again when it subscribes. */
const REPEATED = 5

interface Connection {
  readonly markets: Set<string>
  readonly queue: ArrivalQueue
}

/** An exchange that trades when it is told to, keeps a ledger, and is watched over connections that are sources. */
export class Exchange {
  readonly ledger: Trade[] = []
  readonly #connections = new Set<Connection>()
  #clock = 1_700_000_000_000_000

  /** One trade in each market. */
  trade(markets: readonly Market[]): void {
    for (const { exchange, symbol } of markets) {
      const ts = this.#clock++
      const id = `t${this.ledger.length}`
      const trade: Trade = { exchange, symbol, id, side: 'buy', price: 1, size: 1, ts, recvTs: ts }
      this.ledger.push(trade)
      for (const { markets: wanted, queue } of this.#connections)
        if (wanted.has(marketKey(trade))) queue.push({ channel: 'trade', event: trade })
    }
  }

  /** How many connections watch a market. */
  watchers(market: Market): number {
    return [...this.#connections].filter(({ markets }) => markets.has(marketKey(market))).length
  }

  connect(capacity = 100_000) {
    const now = (): number => this.#clock
    const change = (state: 'connected' | 'overflow', detail: string) =>
      ({ channel: 'connection', status: status('x', now(), state, detail), mayHaveMissed: true }) as const
    const queue = new ArrivalQueue({
      capacity,
      hole: (dropped) => ({ ...change('overflow', `${dropped} items were dropped`), cause: 'overflow' }),
    })
    const connection: Connection = { markets: new Set(), queue }
    this.#connections.add(connection)
    let isConnected = false
    const source: Source = {
      name: 'x',
      ended: false,
      next: async (options, signal) => ({ items: await queue.next(options, signal) }),
      subscribe: (markets) => {
        for (const market of markets) {
          if (isConnected) queue.push(marketSubscribed('x', now(), market))
          else queue.push(change('connected', 'a new connection'))
          isConnected = true
          connection.markets.add(marketKey(market))
          const known = this.ledger.filter((trade) => marketKey(trade) === marketKey(market))
          for (const event of known.slice(-REPEATED)) queue.push({ channel: 'trade', event })
        }
      },
      unsubscribe: (markets) => {
        for (const market of markets) connection.markets.delete(marketKey(market))
      },
      health: () => ({
        ...{ name: 'x', way: 'websocket', markets: connection.markets.size },
        counters: {
          frames: 0,
          malformed: 0,
          duplicates: 0,
          outOfOrder: 0,
          reconnects: 0,
          conflated: queue.conflated,
          dropped: queue.dropped,
          bookDoubts: 0,
          bookResyncs: 0,
        },
        without: [],
      }),
      close: async () => {
        this.#connections.delete(connection)
        queue.finish()
      },
    }
    return {
      source,
      /** What the source rejects with while it holds nothing; undefined when it delivers again. */
      fail: (error: TapelineError | undefined) => queue.fail(error),
      /** The connection breaks and stands again, with all markets. */
      reconnect: () => queue.push(change('connected', 'a new connection')),
      /** The process is gone: nothing is sent to it any more. */
      cut: () => void this.#connections.delete(connection),
    }
  }
}
