import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What a proxy does with bytes on their way. */
export interface TcpProxy {
  /** Clients connect here, on 127.0.0.1. */
  readonly port: number
  /** How many connections are open. */
  readonly connections: () => number
  /** Bytes stay where they are, in both directions; connections stay open, and new ones are taken. */
  readonly stall: () => void
  /** The same, once a piece of data of this size, in bytes, has gone to the server: what follows it stays where it is. */
  readonly stallBehind: (bytes: number) => void
  /** They go on, those that waited first. */
  readonly resume: () => void
  /** Ends all connections at once (RST); with `refuse` new ones too, until `accept`. */
  readonly cut: (options?: { readonly refuse?: true }) => void
  readonly accept: () => void
  /** Each piece of data waits so long, in milliseconds; 0 again ends it. */
  readonly slowDown: (milliseconds: number) => void
  readonly close: () => Promise<void>
}

export interface TcpProxyOptions {
  readonly target: { readonly host?: string; readonly port: number }
  /** The port to listen on, where a server has been told it already; by default one that is free. */
  readonly port?: number
  /** Changes what goes through one connection. */
  readonly rewrite?: () => Rewriting
}

/** What becomes of each piece of data of one connection, in order; what it keeps back comes with a later one. */
export interface Rewriting {
  readonly toServer?: (data: Buffer) => Buffer
  readonly toClient?: (data: Buffer) => Buffer
}

const unchanged = (data: Buffer): Buffer => data

/** A proxy on the loopback address in front of a server: it can stall, cut and delay what goes through. */
export async function startTcpProxy({ target, port = 0, rewrite }: TcpProxyOptions): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let open = Promise.withResolvers<void>()
  open.resolve()
  let isRefusing = false
  let pauseMs = 0
  let lastBytes = Infinity

  const stall = (): void => {
    open = Promise.withResolvers<void>()
  }
  const pass = async (from: Socket, to: Socket, change: (data: Buffer) => Buffer): Promise<void> => {
    try {
      for await (const data of from) {
        await open.promise
        if (pauseMs > 0) await delay(pauseMs)
        if (to.remotePort === target.port && data.length >= lastBytes) {
          lastBytes = Infinity
          stall()
        }
        if (!to.write(change(data))) await Promise.race([once(to, 'drain'), once(to, 'close')])
      }
      to.end()
    } catch {
      // The other side hears of it as it would without a proxy.
      to.resetAndDestroy()
    }
  }

  const server = createServer((client) => {
    if (isRefusing) {
      client.resetAndDestroy()
      return
    }
    const upstream = connect(target.port, target.host ?? '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.once('close', () => sockets.delete(socket))
      socket.on('error', () => undefined)
    }
    client.once('close', () => upstream.destroy())
    upstream.once('close', () => client.destroy())
    const { toServer = unchanged, toClient = unchanged } = rewrite?.() ?? {}
    void pass(client, upstream, toServer)
    void pass(upstream, client, toClient)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')

  const resume = (): void => open.resolve()
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    port: address.port,
    connections: () => sockets.size / 2,
    stall,
    stallBehind(bytes) {
      lastBytes = bytes
    },
    resume,
    cut({ refuse } = {}) {
      isRefusing = refuse === true
      cut()
    },
    accept() {
      isRefusing = false
    },
    slowDown(milliseconds) {
      pauseMs = milliseconds
    },
    async close() {
      resume()
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}
