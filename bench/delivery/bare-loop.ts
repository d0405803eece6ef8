import { once } from 'node:events'
import { WebSocket, WebSocketServer } from 'ws'
import { ExchangeNames } from '../../src/adapters/source/cryptocompare/exchange-names.ts'
import { type Frame, micros } from '../../src/adapters/source/cryptocompare/trades.ts'
import type { Trade } from '../../src/domain/events.ts'
import { DEFAULT_MARKETS } from '../../src/simulator/markets.ts'
import { clockMicros } from '../../src/topology/sources.ts'

const NAMES = new ExchangeNames([])

/** A relay that keeps nothing: it speaks to applications as the platform does, as far as the demo's application knows. */
export interface BareLoop {
  readonly api: string
  /** Asks the source for all trades. */
  connect(websocketUrl: string): Promise<void>
  close(): void
}

/**
 * The baseline of delivery: frames from a WebSocket are parsed and sent on to WebSockets, what arrived in one turn of the
 * event loop in one message. No log, no database, no check, no resuming.
 */
export async function startBareLoop(): Promise<BareLoop> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the bare loop has no port')
  server.on('connection', (socket) => {
    socket.once('message', () => socket.send('{"op":"subscribed"}'))
  })

  let gathered: Trade[] = []
  const send = (): void => {
    const message = JSON.stringify({ op: 'data', events: gathered })
    gathered = []
    for (const client of server.clients) client.send(message)
  }
  let source: WebSocket | undefined
  const take = (trade: Trade): void => {
    if (gathered.length === 0) setImmediate(send)
    gathered.push(trade)
  }
  return {
    api: `http://127.0.0.1:${address.port}`,
    async connect(websocketUrl) {
      source = await followTrades(websocketUrl, take)
    },
    close() {
      source?.terminate()
      for (const client of server.clients) client.terminate()
      server.close()
    },
  }
}

/** Asks a source for the trades of all markets, and hands over each as it comes. */
export async function followTrades(websocketUrl: string, take: (trade: Trade) => void): Promise<WebSocket> {
  const source = new WebSocket(`${websocketUrl}?api_key=bench`)
  source.on('message', (bytes) => {
    const trade = readFrame(JSON.parse(String(bytes)), clockMicros())
    if (trade !== undefined) take(trade)
  })
  await once(source, 'open')
  source.send(JSON.stringify({ action: 'SubAdd', subs: DEFAULT_MARKETS.map(subscriptionOf) }))
  return source
}

type SimulatedMarket = (typeof DEFAULT_MARKETS)[number]

function subscriptionOf({ exchange, symbol }: SimulatedMarket): string {
  return `0~${NAMES.wire(exchange)}~${symbol.replace('-', '~')}`
}

function readFrame(frame: Frame, recvTs: number): Trade | undefined {
  const { TYPE, M, FSYM, TSYM, ID, F, P, Q, TS, TSNS } = frame
  const ts = micros(TS, TSNS)
  if (TYPE !== '0' || ts === undefined) return undefined
  return {
    exchange: String(M).toLowerCase(),
    symbol: `${FSYM}-${TSYM}`,
    id: String(ID),
    side: F === '1' ? 'sell' : 'buy',
    price: Number(P),
    size: Number(Q),
    ts,
    recvTs,
  }
}
