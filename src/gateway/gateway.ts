import { randomInt } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { ulid } from '../domain/ulid.ts'
import { TapelineError } from '../errors.ts'
import { createGuard, isLoopbackHost } from './guard.ts'
import type { ApiKey, GatewayOptions } from './options.ts'
import { createPage } from './page.ts'
import { registerDocs } from './routes/docs.ts'
import { registerMarketData } from './routes/market-data.ts'
import { registerOperations } from './routes/operations.ts'
import { registerStreams } from './routes/streams.ts'
import { registerTopics } from './routes/topics.ts'
import { createServer, type GatewayServer } from './server.ts'
import { registerSockets, type Sockets } from './sockets.ts'

export type { GatewayOptions, Readiness } from './options.ts'

/** A gateway that listens. */
export interface Gateway {
  readonly address: string
  readonly port: number
  /**
   * Takes nothing new, tells every socket (1001), lets requests under way end, and cuts off what is left after 1.5 s.
   * Calling it again waits for the same end.
   */
  close(): Promise<void>
}

/** How long a closing gateway lets requests and sockets end by themselves, in milliseconds. */
const CLOSE_MS = 1500

/**
 * Starts the HTTP and WebSocket interface for applications.
 * Raises PUBLIC_WITHOUT_KEYS, PORT_IN_USE, CONFIG_INVALID (an address that cannot be listened on, an empty key).
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { host, port, keys, info, log, meter } = options
  refuseUnsafe(host, keys)

  let isClosing = false
  const closing = () => isClosing
  const newId = () => ulid(Date.now(), () => randomInt(2 ** 32) / 2 ** 32)

  const app = await createServer({ identify: createGuard(keys), closing, log, meter })
  await registerDocs(app, info)
  registerStreams(app, { desk: options.desk, newLeaseId: newId })
  registerTopics(app, { broker: options.broker, closing })
  registerMarketData(app, options.store)
  registerOperations(app, options)
  registerPage(app, info)
  const sockets = registerSockets(app, { ...options, newId })

  try {
    // The framework would make a second server for ::1, whose connections it does not let us end.
    await app.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port })
  } catch (error) {
    await app.close()
    throw listenError(error, host, port)
  }

  let closed: Promise<void> | undefined
  const bound = app.server.address() as AddressInfo
  return {
    address: bound.address,
    port: bound.port,
    close: () => {
      isClosing = true
      closed ??= closeServer(app, sockets)
      return closed
    },
  }
}

async function closeServer(app: GatewayServer, sockets: Sockets): Promise<void> {
  const deadline = setTimeout(() => {
    sockets.terminate()
    app.server.closeAllConnections()
  }, CLOSE_MS)
  await Promise.all([sockets.close(), app.close()])
  clearTimeout(deadline)
}

function refuseUnsafe(host: string, keys: readonly ApiKey[]): void {
  if (keys.length === 0 && !isLoopbackHost(host)) {
    throw new TapelineError(
      'PUBLIC_WITHOUT_KEYS',
      `${host} is not a loopback address, and no API keys are configured`,
    )
  }
  const unusable = keys.find(({ name, key }) => name === '' || !/^\S+$/.test(key))
  if (unusable === undefined) return
  const remedy = 'Give every key a name, and at least one character without spaces.'
  throw new TapelineError('CONFIG_INVALID', `the API key named "${unusable.name}" cannot be used`, { remedy })
}

function listenError(error: unknown, host: string, port: number): TapelineError {
  const reason = error instanceof Error && 'code' in error ? error.code : undefined
  const code = reason === 'EADDRINUSE' ? 'PORT_IN_USE' : 'CONFIG_INVALID'
  return new TapelineError(code, `cannot listen on ${host}, port ${port}: ${reason ?? error}`, {
    cause: error,
  })
}

function registerPage(app: GatewayServer, info: { readonly version: string }): void {
  const { html, contentSecurityPolicy } = createPage(info)
  app.route({
    method: 'GET',
    url: '/',
    schema: { hide: true },
    config: { open: true },
    handler: async (_request, reply) => {
      return reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', contentSecurityPolicy)
        .send(html)
    },
  })
}
