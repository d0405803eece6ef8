import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { startTimer } from '../async/timers.ts'
import { TapelineError } from '../errors.ts'
import { isLoopbackHost } from './guard.ts'
import type { ApiKey, ServerTls } from './options.ts'
import type { GatewayServer } from './server.ts'

/** A server that listens. */
export interface Listening {
  readonly address: string
  readonly port: number
  readonly scheme: 'http' | 'https'
  /** Shows another certificate from the next connection on; those that are open stay. Only of a server that speaks TLS. */
  renew(tls: ServerTls): void
  /**
   * Takes nothing new, tells every socket (1001), lets requests under way end, and cuts off what is left after 1.5 s.
   * Calling it again waits for the same end.
   */
  close(): Promise<void>
}

/** What must end with a server: its WebSockets. */
interface Sockets {
  close(): Promise<void>
  /** Cuts off those that have not ended by themselves. */
  terminate(): void
}

interface ListenOptions {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Called as soon as the server begins to close. */
  readonly onClosing: () => void
  readonly sockets?: readonly Sockets[]
}

/** How long a closing server lets requests and sockets end by themselves, in milliseconds. */
const CLOSE_MS = 1500

/** Begins to listen. Raises PORT_IN_USE, CONFIG_INVALID (an address that cannot be listened on); the server is closed then. */
export async function listen(
  app: GatewayServer,
  { host, port, onClosing, sockets = [] }: ListenOptions,
): Promise<Listening> {
  try {
    // The framework would make a second server for ::1, whose connections it does not let us end.
    await app.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port })
  } catch (error) {
    await app.close()
    throw listenError(error, host, port)
  }
  let closed: Promise<void> | undefined
  const server: unknown = app.server
  const tlsServer = server instanceof TlsServer ? server : undefined
  const connections = trackConnections(app.server)
  const bound = app.server.address() as AddressInfo
  return {
    address: bound.address,
    port: bound.port,
    scheme: tlsServer ? 'https' : 'http',
    renew: (tls) => tlsServer?.setSecureContext(tls),
    close: () => {
      onClosing()
      closed ??= closeServer(app, sockets, connections)
      return closed
    },
  }
}

/**
 * Whether an address can be listened on, without a server: whoever opens servers and databases first need not open them in vain. Raises
 * what `listen` does.
 */
export async function refuseTaken({ host, port }: Pick<ListenOptions, 'host' | 'port'>): Promise<void> {
  const server = createServer()
  try {
    server.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port, exclusive: true })
    await once(server, 'listening')
  } catch (error) {
    throw listenError(error, host, port)
  }
  server.close()
  await once(server, 'close')
}

/** Raises PUBLIC_WITHOUT_KEYS, and CONFIG_INVALID like `refuseUnusableKeys`. */
export function refuseUnsafe(host: string, keys: readonly ApiKey[]): void {
  if (keys.length === 0 && !isLoopbackHost(host)) {
    throw new TapelineError(
      'PUBLIC_WITHOUT_KEYS',
      `${host} is not a loopback address, and no API keys are configured`,
    )
  }
  refuseUnusableKeys(keys)
}

/** Raises CONFIG_INVALID for a key without a name or with nothing that could be sent. */
export function refuseUnusableKeys(keys: readonly ApiKey[]): void {
  const unusable = keys.find(({ name, key }) => name === '' || !/^\S+$/.test(key))
  if (unusable === undefined) return
  const remedy = 'Give every key a name, and at least one character without spaces.'
  throw new TapelineError('CONFIG_INVALID', `the API key named "${unusable.name}" cannot be used`, { remedy })
}

/** The open connections of a server, those too that are still in their TLS handshake, which HTTP does not know of. */
function trackConnections(server: GatewayServer['server']): ReadonlySet<Socket> {
  const open = new Set<Socket>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  return open
}

async function closeServer(
  app: GatewayServer,
  sockets: readonly Sockets[],
  connections: ReadonlySet<Socket>,
): Promise<void> {
  const deadline = startTimer(() => {
    for (const each of sockets) each.terminate()
    app.server.closeAllConnections()
    for (const socket of connections) socket.destroy()
  }, CLOSE_MS)
  await Promise.all([...sockets.map((each) => each.close()), app.close()])
  deadline.stop()
}

function listenError(error: unknown, host: string, port: number): TapelineError {
  const reason = error instanceof Error && 'code' in error ? error.code : undefined
  const code = reason === 'EADDRINUSE' ? 'PORT_IN_USE' : 'CONFIG_INVALID'
  return new TapelineError(code, `cannot listen on ${host}, port ${port}: ${reason ?? error}`, {
    cause: error,
  })
}
