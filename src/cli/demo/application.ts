import { WebSocket } from 'ws'
import { deadlineAfter } from '../../async/timers.ts'
import { marketKey, type Trade } from '../../domain/events.ts'
import { TradeWindow } from '../../domain/trade-window.ts'
import { TapelineError } from '../../errors.ts'
import { clockMicros } from '../../topology/sources.ts'
import { answeredError } from '../api-client.ts'
import { send, trusting } from '../api-connection.ts'
import { Latencies } from './latencies.ts'

/** What the server sends, as far as this client reads it. */
interface ServerMessage {
  readonly op: string
  readonly events?: readonly Trade[]
  readonly stream?: string
  readonly code?: string
  readonly message?: string
}

/** What the demo's own application has got. */
export interface Application {
  readonly delivered: number
  /** Trades that came twice, by their ids. */
  readonly duplicates: number
  /** From the arrival of the source's frame to here. */
  readonly latencies: Latencies
  /** Ends its stream and its connection. */
  close(): Promise<void>
}

/** Where the platform serves applications, and what this one comes with. */
interface ServedAt {
  readonly api: string
  readonly certificate?: string | undefined
  readonly key?: string | undefined
}

/** How long ending the stream may take. */
const END_MS = 1_000

/**
 * An ordinary WebSocket client that asks for all trades and counts them. Resolves when its subscription stands; rejects with what
 * the platform answers instead. Latencies are counted from `since` on, so that a warm-up can be left out.
 */
export async function startApplication(
  { api, certificate, key }: ServedAt,
  since: () => number,
): Promise<Application> {
  const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const tls = certificate === undefined ? {} : trusting(certificate)
  const socket = new WebSocket(`${api.replace(/^http/, 'ws')}/v1/ws`, { ...tls, headers })
  const windows = new Map<string, TradeWindow>()
  const latencies = new Latencies()
  let stream = ''
  let delivered = 0
  let duplicates = 0

  const take = (trade: Trade, now: number): void => {
    delivered++
    if (trade.recvTs >= since()) latencies.add(now - trade.recvTs)
    const key = marketKey(trade)
    const window = windows.get(key) ?? new TradeWindow()
    windows.set(key, window)
    if (window.judge(trade) === 'duplicate') duplicates++
    else window.remember(trade)
  }

  await new Promise<void>((resolve, reject) => {
    socket.on('open', () => {
      socket.send(JSON.stringify({ op: 'subscribe', spec: { channel: 'trade', symbols: ['*'] } }))
    })
    socket.on('message', (bytes) => {
      const said = JSON.parse(String(bytes)) as ServerMessage
      const { op, events, code = 'INTERNAL', message = '' } = said
      if (op === 'subscribed') {
        stream = said.stream ?? ''
        resolve()
      }
      if (op === 'error') reject(answeredError(code, message, {}))
      const now = clockMicros()
      for (const event of events ?? []) take(event, now)
    })
    socket.on('error', (error) => {
      reject(new TapelineError('INTERNAL', `the demo's own client: ${error.message}`, { cause: error }))
    })
    socket.on('close', () => {
      reject(new TapelineError('SHUTTING_DOWN', "the platform ended the demo's own client"))
    })
  })

  return {
    latencies,
    get delivered() {
      return delivered
    },
    get duplicates() {
      return duplicates
    },
    async close() {
      socket.close()
      // Otherwise one more lease would fill the list of streams for an hour after each run.
      const address = new URL(`/v1/streams/${encodeURIComponent(stream)}`, api)
      const request = { method: 'DELETE', headers, signal: deadlineAfter(END_MS) }
      await send(address, tls, request).catch(() => undefined)
    },
  }
}
