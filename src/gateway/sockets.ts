import type { WebSocket } from 'ws'
import { z } from 'zod'
import { startInterval } from '../async/timers.ts'
import { TapelineError } from '../errors.ts'
import { requireScope } from './guard.ts'
import type { BeyondKept } from './kept.ts'
import type { GatewayOptions } from './options.ts'
import type { QuotaKeeper } from './quotas.ts'
import type { Revocable } from './revocations.ts'
import { callerIn, type GatewayServer, SOCKET_ROUTE } from './server.ts'
import { SocketSession } from './socket-session.ts'

const PING_MS = 20_000

/** Close code: the server is going down. Source: RFC 6455, section 7.4.1. */
const GOING_AWAY = 1001
/** Close code: what the client does is not allowed. Source: the same. */
const POLICY_VIOLATION = 1008

type SocketOptions = Pick<
  GatewayOptions,
  'desk' | 'delivery' | 'endpoint' | 'fixedTopics' | 'log' | 'meter'
> & {
  readonly newId: () => string
  readonly beyondKept: BeyondKept
  readonly quotas: QuotaKeeper
}

/** The open WebSockets of this process. */
export interface Sockets {
  /** Tells every client that the server goes away; resolves when all have gone. */
  close(): Promise<void>
  /** Cuts off those that have not gone. */
  terminate(): void
}

/** Takes WebSockets at `/v1/ws`, and watches that their peers are still there. */
export function registerSockets(app: GatewayServer, options: SocketOptions): Sockets {
  const { log, meter, newId, endpoint, quotas } = options
  const sessions = new Map<WebSocket, SocketSession>()

  app.route({
    method: 'GET',
    url: SOCKET_ROUTE,
    schema: {
      operationId: 'openSocket',
      summary: 'WebSocket: read streams',
      description: PROTOCOL,
      tags: ['streams'],
      querystring: z.object({
        key: z.string().optional().describe('An API key, for clients that cannot set headers.'),
      }),
      response: { 101: z.undefined().describe('The WebSocket is open.') },
    },
    config: { isSocket: true, errors: ['UPGRADE_REQUIRED', 'QUOTA_EXCEEDED', 'LIMIT_REACHED'] },
    preValidation: async (request) => {
      if (request.ws) quotas.admitConnection(callerIn(request))
    },
    handler: async (_request, reply) => {
      reply.header('upgrade', 'websocket')
      throw new TapelineError('UPGRADE_REQUIRED', `${SOCKET_ROUTE} is a WebSocket`)
    },
    wsHandler: (socket, request) => {
      const caller = callerIn(request)
      const { app: owner } = caller
      const id = newId()
      const session = new SocketSession({
        ...options,
        socket,
        endpoint: endpoint(socket, id, request.raw.socket),
        throttle: (each) => quotas.throttle(caller, each),
        app: owner,
        admitRequest: (leaseId) => {
          requireScope(caller, 'streams')
          return quotas.admitStream(caller, leaseId)
        },
        newLeaseId: newId,
      })
      sessions.set(socket, session)
      const gone = quotas.open(caller, revocable(socket))
      meter.gauge('sockets', sessions.size)
      log.debug({ socket: id, app: owner }, 'socket opened')
      socket.once('close', (code) => {
        sessions.delete(socket)
        gone()
        meter.gauge('sockets', sessions.size)
        log.debug({ socket: id, app: owner, code }, 'socket closed')
      })
    },
  })

  const pings = startInterval(() => {
    for (const session of sessions.values()) session.ping()
  }, PING_MS)
  app.addHook('onClose', async () => pings.stop())

  return closeSockets(sessions)
}

/** A socket as it ends when its key is revoked. */
export function revocable(socket: WebSocket): Revocable {
  return {
    close: () => socket.close(POLICY_VIOLATION, 'the key was revoked'),
    cut: () => socket.terminate(),
  }
}

/** Ends the sockets that a map has as its keys when the server closes. */
export function closeSockets(open: ReadonlyMap<WebSocket, unknown>): Sockets {
  return {
    async close() {
      const gone = [...open.keys()].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
      for (const socket of open.keys()) socket.close(GOING_AWAY, 'the platform is stopping')
      await Promise.all(gone)
    },
    terminate() {
      for (const socket of open.keys()) socket.terminate()
    },
  }
}

const PROTOCOL = `JSON text frames.

To the server: \`{"op":"subscribe","stream":ID,"cursor":CURSOR?}\`, \`{"op":"subscribe","spec":{...},"ttl":TTL?}\`,
\`{"op":"unsubscribe","stream":ID}\`.

From the server: \`{"op":"subscribed","stream","topic","cursor","warnings?"}\`, \`{"op":"data","stream","cursor","events":[...]}\`,
\`{"op":"reset","stream","reason","cursor"}\`, \`{"op":"end","stream","reason"}\`,
\`{"op":"error","code","message","remedy","errors?"}\`.

A cursor resumes exactly after the batch that carried it.`
