import { once } from 'node:events'
import { WebSocket } from 'ws'
import { marketKey, type Trade } from '../../src/domain/events.ts'
import { clockMicros } from '../../src/topology/sources.ts'

/** What the server sends, as far as this client reads it. */
interface ServerMessage {
  readonly op: string
  readonly events?: readonly Trade[]
  readonly message?: string
}

/** An application that asks for all trades and notes when each one was there, parsed. */
export interface Client {
  readonly delivered: number
  /** Trades that came twice, by market and id. */
  duplicates(): number
  /** Latencies in ms of the trades whose frame arrived at the producer at `since` or later (microseconds). */
  latencies(since: number): Latencies
  close(): void
}

interface Latencies {
  /** From the arrival of the source's frame at the producer. */
  readonly fromFrame: Float64Array
  /** From the trade's own time at the source. */
  readonly fromTrade: Float64Array
}

interface Arrival {
  readonly trade: Trade
  readonly at: number
}

/** Resolves when the subscription stands. */
export async function startClient(api: string): Promise<Client> {
  const socket = new WebSocket(`${api.replace(/^http/, 'ws')}/v1/ws`)
  // Only kept while trades come in: working them out would delay those that follow.
  const arrivals: Arrival[] = []
  const subscribed = new Promise<void>((resolve, reject) => {
    socket.on('message', (bytes) => {
      const { op, events = [], message } = JSON.parse(String(bytes)) as ServerMessage
      if (op === 'subscribed') resolve()
      if (op === 'error') reject(new Error(message))
      const at = clockMicros()
      for (const trade of events) arrivals.push({ trade, at })
    })
    socket.on('error', reject)
  })
  await once(socket, 'open')
  socket.send(JSON.stringify({ op: 'subscribe', spec: { channel: 'trade', symbols: ['*'] } }))
  await subscribed
  return {
    get delivered() {
      return arrivals.length
    },
    duplicates() {
      const different = new Set(arrivals.map(({ trade }) => `${marketKey(trade)}:${trade.id}`))
      return arrivals.length - different.size
    },
    latencies(since) {
      const counted = arrivals.filter(({ trade }) => trade.recvTs >= since)
      return {
        fromFrame: Float64Array.from(counted, ({ trade, at }) => (at - trade.recvTs) / 1000),
        fromTrade: Float64Array.from(counted, ({ trade, at }) => (at - trade.ts) / 1000),
      }
    },
    close: () => socket.close(),
  }
}
