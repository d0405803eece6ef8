import { exchangeKind } from '../feed/exchange-kind.ts'

/** Gemini's WebSocket, version 3: trades, best prices and books, without a key. */
export const gemini = exchangeKind({
  name: 'gemini',
  title: 'Gemini',
  usualMarkets: ['BTC-USD', 'ETH-USD', 'SOL-USD'],
  // Without the parameter a book begins with its changes.
  socket: 'wss://ws.gemini.com/?snapshot=-1',
  hasBooks: true,
  rest: 'https://api.gemini.com',
  loadHistory: async () => (await import('./history.ts')).geminiHistory,
  loadWire: async () => (await import('./wire.ts')).createGeminiWire,
})
