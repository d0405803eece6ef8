import type { TestContext } from 'node:test'
import { cryptocompare } from '../../../src/adapters/source/cryptocompare/source.ts'
import type { Market } from '../../../src/ports/source.ts'
import { type Opening, openOn } from './opened.ts'
import { Service, sendFrame } from './service.ts'

export const API_KEY = 'k3y-that-must-not-be-seen'

export const BTC: Market = { exchange: 'coinbase', symbol: 'BTC-USD' }
export const ETH: Market = { exchange: 'coinbase', symbol: 'ETH-USD' }
export const INDEX: Market = { exchange: 'cccagg', symbol: 'BTC-USD' }

/** The recorded frame of the wire facts. */
export const TRADE = {
  TYPE: '0',
  M: 'Coinbase',
  FSYM: 'BTC',
  TSYM: 'USD',
  F: '1',
  ID: '852793745',
  TS: 1753190418,
  Q: 0.34637342,
  P: 119283.1,
  TOTAL: 41316.495295202,
  RTS: 1753190418,
  CCSEQ: 852777369,
  TSNS: 654000000,
  RTSNS: 708000000,
}

export const WELCOME = {
  TYPE: '20',
  MESSAGE: 'STREAMERWELCOME',
  SERVER_UPTIME_SECONDS: 1262462,
  SERVER_NAME: '08',
  SERVER_TIME_MS: 1545228930302,
  CLIENT_ID: 328301,
  DATA_FORMAT: 'JSON',
  SOCKET_ID: 'zGt9RKwY5qLvXm',
  SOCKETS_ACTIVE: 1,
  SOCKETS_REMAINING: 0,
  RATELIMIT_MAX_SECOND: 30,
  RATELIMIT_REMAINING_SECOND: 29,
}

export const HEARTBEAT = { TYPE: '999', MESSAGE: 'HEARTBEAT', TIMEMS: 1753190418000 }

/** A trade that differs from the recorded one by its id and its place in time. */
export function trade(id: number, changes: Readonly<Record<string, unknown>> = {}) {
  return { ...TRADE, ID: String(id), TS: TRADE.TS + id, ...changes }
}

/** Behaves as the service does: greets, and confirms each subscription. */
export function startService(t: TestContext): Promise<Service> {
  return Service.start(t, {
    connected: (socket) => sendFrame(socket, WELCOME),
    received: (frame, socket) => {
      const subs = Array.isArray(frame['subs']) ? frame['subs'] : []
      const complete = frame['action'] === 'SubAdd' ? COMPLETE : GONE
      for (const SUB of subs) sendFrame(socket, { ...complete, SUB })
      sendFrame(socket, { TYPE: '3', MESSAGE: 'LOADCOMPLETE', INFO: 'All your valid subs have been loaded.' })
    },
  })
}

const COMPLETE = { TYPE: '16', MESSAGE: 'SUBSCRIBECOMPLETE' }
const GONE = { TYPE: '17', MESSAGE: 'UNSUBSCRIBECOMPLETE' }

/** Times for tests in which a way goes down. */
export const QUICK = { timeout: 500, fallbackAfter: 60 } as const

/** CryptoCompare's source on a service that connects again quickly; it is closed at the end of the test. */
export function openCryptoCompare(t: TestContext, service: Service, changes: Opening = {}) {
  const usual = { apiKey: API_KEY, markets: [BTC], pollEvery: 10, staleAfter: 10_000 }
  return openOn(t, cryptocompare, service, { ...usual, ...changes })
}
