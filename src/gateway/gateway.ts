import { randomBytes, randomInt } from 'node:crypto'
import { ulid } from '../domain/ulid.ts'
import { registerEventStreams } from './event-streams.ts'
import { createGuard } from './guard.ts'
import { createBeyondKept } from './kept.ts'
import { type Listening, listen, refuseUnsafe } from './listening.ts'
import type { GatewayOptions } from './options.ts'
import { createOrigins } from './origins.ts'
import { registerPage } from './page.ts'
import { createQuotaKeeper } from './quotas.ts'
import { cutRevoked, watchRevocations } from './revocations.ts'
import { registerBackfill } from './routes/backfill.ts'
import { registerBooks } from './routes/books.ts'
import { registerDeadLetters } from './routes/dead-letters.ts'
import { registerDocs } from './routes/docs.ts'
import { registerGaps } from './routes/gaps.ts'
import { registerKeys } from './routes/keys.ts'
import { registerMarketData } from './routes/market-data.ts'
import { registerMarkets } from './routes/markets.ts'
import { registerMessages } from './routes/messages.ts'
import { registerOperations } from './routes/operations.ts'
import { registerPreview } from './routes/preview.ts'
import { registerStreams } from './routes/streams.ts'
import { registerTopics } from './routes/topics.ts'
import { registerUdf } from './routes/udf.ts'
import { registerWebhooks } from './routes/webhooks.ts'
import { createServer } from './server.ts'
import { registerSockets } from './sockets.ts'
import { registerTransitionSockets } from './transition-sockets.ts'
import { createVisibility } from './visible.ts'

export type { GatewayOptions, Readiness } from './options.ts'

/** A gateway that listens. */
export interface Gateway extends Listening {
  /** How many sockets and event streams are open. */
  connections(): number
}

/**
 * Starts the HTTP and WebSocket interface for applications.
 * Raises PUBLIC_WITHOUT_KEYS, PORT_IN_USE, CONFIG_INVALID (an address that cannot be listened on, an empty key).
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { host, port, tls, keys, info, log, meter } = options
  refuseUnsafe(host, keys)

  let isClosing = false
  const closing = () => isClosing
  const newId = () => ulid(Date.now(), () => randomInt(2 ** 32) / 2 ** 32)

  const identify = createGuard(keys, options.issuedKeys)
  const origins = createOrigins(options.origins)
  const app = await createServer({ identify, closing, tls, origins, log, meter })
  const revocations = watchRevocations(options.issuedKeys)
  app.addHook('onClose', async () => revocations.stop())
  cutRevoked(app, revocations)
  await registerDocs(app, info)
  registerMessages(app, info)
  const quotas = createQuotaKeeper({ ...options, revocations })
  const visible = createVisibility(options)
  const beyondKept = createBeyondKept(options)
  registerStreams(app, { ...options, quotas, beyondKept, newLeaseId: newId })
  registerPreview(app, options)
  registerWebhooks(app, { ...options, quotas, newId })
  registerKeys(app, { ...options, newId, newKey })
  registerTopics(app, { ...options, closing, visible })
  registerMarketData(app, { ...options, closing, revocations })
  registerMarkets(app, options.store, options.desk)
  registerGaps(app, options.store)
  registerBooks(app, options.books, options.store)
  registerUdf(app, options.store)
  registerDeadLetters(app, options.deadLetters)
  registerBackfill(app, options)
  registerOperations(app, { ...options, visible })
  registerPage(app, options)
  const sockets = registerSockets(app, { ...options, quotas, beyondKept, newId })
  const watchers = registerTransitionSockets(app, { ...options, visible, open: quotas.open })
  const eventStreams = registerEventStreams(app, { ...options, quotas, newId })

  const listening = await listen(app, {
    host,
    port,
    onClosing: () => {
      isClosing = true
      eventStreams.close()
    },
    sockets: [sockets, watchers],
  })
  return { ...listening, connections: () => quotas.connections }
}

/** 256 random bits (R26). */
function newKey(): string {
  return `tpl_${randomBytes(32).toString('base64url')}`
}
