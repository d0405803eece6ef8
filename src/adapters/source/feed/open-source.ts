import { TapelineError } from '../../../errors.ts'
import type { Source } from '../../../ports/source.ts'
import { QUEUE_CAPACITY } from './arrival-queue.ts'
import { openWebSocket } from './link.ts'
import { LiveSource } from './live-source.ts'
import type { LeftOut } from './past.ts'
import {
  addressesOf,
  marketsOfConnection,
  type SourceKind,
  type SourceOptions,
  USUAL,
  USUAL_BOOK_DEPTH,
} from './source-kind.ts'
import { SpreadSource } from './spread-source.ts'
import { createTradeHistory } from './trade-history.ts'
import { redactor, secretsOf } from './words.ts'

/** Opens a source without markets: it connects when it is asked for the first. Raises CONFIG_INVALID where an address is none. */
export async function openSource(kind: SourceKind, options: SourceOptions): Promise<Source> {
  const { settings, apiKey, exchanges, queueCapacity = QUEUE_CAPACITY, now } = options
  const ways = await kind.load()
  // Another server than the service's own is no reason to ask the service itself.
  const isAsked = settings.restUrl !== undefined || settings.url === undefined
  const historyWire = isAsked ? await kind.loadHistory?.() : undefined
  const { socket, rest } = addressesOf(kind, settings, apiKey)
  const log = options.log.child({ source: kind.name })
  const secrets = [socket, rest].flatMap((address) => (address ? secretsOf(address) : []))
  const redact = redactor([apiKey ?? '', ...secrets])
  const open =
    (await kind.loadSockets?.(settings)) ?? (socket === undefined ? undefined : () => openWebSocket(socket))
  if (open === undefined) throw new TapelineError('INTERNAL', `the source ${kind.name} has no address`)
  const timeoutMs = settings.timeout ?? USUAL.timeout
  const channels = settings.channels.filter((channel) => kind.channels.includes(channel))
  const sourceParts = {
    ...{ channels, rest, timeoutMs },
    ...{ pollEveryMs: settings.pollEvery ?? USUAL.pollEvery, log, redact },
    books: {
      depth: settings.bookDepth ?? USUAL_BOOK_DEPTH,
      snapshotEveryMs: settings.bookSnapshotEvery ?? USUAL.bookSnapshotEvery,
    },
    ...(apiKey !== undefined && { apiKey }),
    ...(exchanges && { exchanges }),
  }
  const history =
    historyWire && rest
      ? (leftOut: LeftOut) => createTradeHistory(historyWire, { rest, timeoutMs, redact, now, leftOut })
      : undefined
  const connect = (): Source =>
    new LiveSource({
      name: kind.name,
      history,
      tap: options.openTap?.(),
      link: {
        open,
        reconnect: {
          firstMs: settings.reconnect ?? kind.usual.reconnect,
          maxMs: settings.reconnectMax ?? USUAL.reconnectMax,
        },
        connectTimeoutMs: timeoutMs,
        downAfterMs: settings.fallbackAfter ?? USUAL.fallbackAfter,
      },
      staleAfterMs: settings.staleAfter ?? kind.usual.staleAfter,
      maxSkewMs: settings.maxSkew ?? USUAL.maxSkew,
      ways: (outlet) => ways({ ...sourceParts, outlet }),
      ...{ queueCapacity, log, now, redact },
    })
  const mostMarkets = marketsOfConnection(kind, channels.length)
  return mostMarkets === undefined ? connect() : new SpreadSource(connect, mostMarkets)
}
