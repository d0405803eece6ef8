import type { Greeting, SourceKind } from '../feed/source-kind.ts'
import { parseObject } from '../feed/text.ts'
import { shownWords } from '../feed/words.ts'

/** CryptoCompare over WebSocket v2; while that is down, quotes and candles over REST. */
export const cryptocompare: SourceKind = {
  name: 'cryptocompare',
  title: 'CryptoCompare',
  page: 'sources.md#cryptocompare',
  channels: ['trade', 'quote', 'candle'],
  socket: 'wss://streamer.cryptocompare.com/v2',
  rest: 'https://min-api.cryptocompare.com',
  key: {
    variable: 'CRYPTOCOMPARE_API_KEY',
    parameter: 'api_key',
    remedy:
      'Set CRYPTOCOMPARE_API_KEY; or use Coinbase without a key (--live); or a simulator (tapeline simulate, then --simulator URL). npm start needs none.',
  },
  // The service's own rule is 5 s between connects. Two missed heartbeats of the slower of its two documented rhythms, and a little.
  usual: { reconnect: 5_000, staleAfter: 135_000 },
  load: async () => (await import('./ways.ts')).ways,
  greeting,
}

/** The first message says whether the key is good. Source: CryptoCompare's WebSocket documentation, message types. */
function greeting(text: string, redact: (text: string) => string): Greeting {
  const message = parseObject(text)
  const type = String(message?.['TYPE'] ?? '?')
  const told = shownWords([message?.['MESSAGE'], message?.['INFO']].filter(Boolean).join(': '), redact)
  const words = told && `: ${told}`
  switch (type) {
    case '20':
      return { status: 'ok', detail: 'speaks WebSocket and takes the key' }
    case '401':
      return { status: 'fail', detail: `refuses the key${words}`, remedy: 'Check CRYPTOCOMPARE_API_KEY.' }
    case '429':
      return {
        status: 'warn',
        detail: `is over its rate limit${words}`,
        remedy: 'Wait a minute; a running platform uses the same key.',
      }
    default:
      return {
        status: 'warn',
        detail: `began with a message of type ${type}${words}`,
        remedy: 'Its protocol may have changed: please report it.',
      }
  }
}
