import type { SourceParts } from '../feed/source-kind.ts'
import { ExchangeDirectory } from './exchange-directory.ts'
import { ExchangeNames } from './exchange-names.ts'
import { minuteHistory } from './minute-history.ts'
import { CryptoCompareProtocol } from './protocol.ts'
import { RestClient } from './rest-client.ts'
import { RestPolling } from './rest-polling.ts'
import { Subscriptions } from './subscriptions.ts'

/** How CryptoCompare is read. Not by REST where only trades are asked for: it has none. */
export function ways(source: SourceParts) {
  const { channels, outlet, rest, apiKey, exchanges = [], timeoutMs, pollEveryMs, redact, log } = source
  // The kind names a REST host, so there is one.
  const client = new RestClient({ address: rest as URL, apiKey, timeoutMs, redact })
  const names = new ExchangeNames(exchanges)
  const subscriptions = new Subscriptions(channels, names, outlet)
  const directory = new ExchangeDirectory({ client, names, log })
  const protocol = new CryptoCompareProtocol({ subscriptions, directory, outlet, redact })
  const history = minuteHistory(client, names, outlet)
  if (channels.every((channel) => channel === 'trade')) return { protocol, history }
  const fallback = new RestPolling({ client, subscriptions, channels, outlet, pollEveryMs, log })
  return { protocol, fallback, history }
}
