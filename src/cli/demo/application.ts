import { once } from 'node:events'
import { WebSocket } from 'ws'
import { marketKey, type Trade } from '../../domain/events.ts'
import { TradeWindow } from '../../domain/trade-window.ts'
import { clockMicros } from '../../topology/sources.ts'

/** What the server sends, as far as this client reads it. */
interface ServerMessage {
  readonly op: string
  readonly events?: readonly Trade[]
  readonly message?: string
}

/** What the demo's own application has got. */
export interface Application {
  readonly delivered: number
  /** Trades that came twice, by their ids. */
  readonly duplicates: number
  /** From the arrival of the source's frame to here, in milliseconds; the share is between 0 and 1. */
  latencyMs(share: number): number
  close(): void
}

/** Buckets of the latency: 0.1 ms wide, the last one holds everything slower. */
const BUCKET_MICROS = 100
const BUCKETS = 100_000

/**
 * An ordinary WebSocket client that asks for all trades and counts them. Resolves when its subscription stands.
 * Latencies are counted from `since` on, so that a warm-up can be left out.
 */
export async function startApplication(api: string, since: () => number): Promise<Application> {
  const socket = new WebSocket(`${api.replace(/^http/, 'ws')}/v1/ws`)
  const windows = new Map<string, TradeWindow>()
  const histogram = new Uint32Array(BUCKETS)
  let delivered = 0
  let measured = 0
  let duplicates = 0

  const take = (trade: Trade, now: number): void => {
    delivered++
    if (trade.recvTs >= since()) {
      const bucket = Math.max(0, Math.floor((now - trade.recvTs) / BUCKET_MICROS))
      const index = Math.min(BUCKETS - 1, bucket)
      histogram[index] = (histogram[index] ?? 0) + 1
      measured++
    }
    const key = marketKey(trade)
    const window = windows.get(key) ?? new TradeWindow()
    windows.set(key, window)
    if (window.judge(trade) === 'duplicate') duplicates++
    else window.remember(trade)
  }

  const subscribed = new Promise<void>((resolve, reject) => {
    socket.on('message', (bytes) => {
      const { op, events, message } = JSON.parse(String(bytes)) as ServerMessage
      if (op === 'subscribed') resolve()
      if (op === 'error') reject(new Error(message))
      const now = clockMicros()
      for (const event of events ?? []) take(event, now)
    })
    socket.on('error', reject)
  })
  await once(socket, 'open')
  socket.send(JSON.stringify({ op: 'subscribe', spec: { channel: 'trade', symbols: ['*'] } }))
  await subscribed

  return {
    get delivered() {
      return delivered
    },
    get duplicates() {
      return duplicates
    },
    latencyMs(share) {
      let rest = measured * share
      for (const [index, count] of histogram.entries()) {
        rest -= count
        if (rest <= 0) return ((index + 1) * BUCKET_MICROS) / 1000
      }
      return 0
    },
    close: () => socket.close(),
  }
}
