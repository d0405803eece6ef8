import { exchangeKind } from '../feed/exchange-kind.ts'

/** Gemini's WebSocket, version 3: trades and best prices, without a key. */
export const gemini = exchangeKind({
  name: 'gemini',
  title: 'Gemini',
  usualMarkets: ['BTC-USD', 'ETH-USD', 'SOL-USD'],
  socket: 'wss://ws.gemini.com',
  rest: 'https://api.gemini.com',
  loadHistory: async () => (await import('./history.ts')).geminiHistory,
  loadWire: async () => (await import('./wire.ts')).geminiWire,
})
