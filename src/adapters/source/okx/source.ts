import { exchangeKind } from '../feed/exchange-kind.ts'

/** OKX's public WebSocket, version 5: trades and best prices, without a key. */
export const okx = exchangeKind({
  name: 'okx',
  title: 'OKX',
  usualMarkets: ['BTC-USDT', 'ETH-USDT', 'SOL-USDT', 'XRP-USDT'],
  socket: 'wss://ws.okx.com:8443/ws/v5/public',
  loadWire: async () => (await import('./wire.ts')).okxWire,
})
