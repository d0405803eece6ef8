import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { TapelineError } from '../errors.ts'
import { refuseTaken } from '../gateway/listening.ts'
import { consumerDynamicMachine } from '../machines/consumer-dynamic.ts'
import { consumerFixedMachine } from '../machines/consumer-fixed.ts'
import { coordinatorMachine } from '../machines/coordinator.ts'
import { producerMachine } from '../machines/producer.ts'
import type { ActorDirectory, ActorReport, TransitionFeed } from '../ports/actors.ts'

interface InspectorOptions {
  /** On the loopback interface; 0 lets the system choose. */
  readonly port: number
  readonly actors: Pick<ActorDirectory, 'list'>
  readonly transitions: Pick<TransitionFeed, 'watch'>
}

/** What Stately's inspector and XState's own tools connect to. */
export interface Inspector {
  readonly url: string
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const INSPECTOR = 'https://stately.ai'
/** The version of the messages, which is that of the package whose they are. Source: @statelyai/inspect */
const VERSION = '0.7.2'
/** Who takes no more than this gets nothing further: it is a tool for development. */
const MOST_WAITING_BYTES = 4 * 1024 * 1024

const MACHINES = {
  producer: producerMachine,
  coordinator: coordinatorMachine,
  consumerFixed: consumerFixedMachine,
  consumerDynamic: consumerDynamicMachine,
} as const satisfies Record<ActorReport['machine'], unknown>

/**
 * Tells what the machines do in the messages of `@statelyai/inspect`, over a WebSocket of this machine alone, and serves the page that shows Stately's
 * inspector. Contexts are left out: they hold whole batches. Raises PORT_IN_USE.
 */
export async function startInspector({ port, actors, transitions }: InspectorOptions): Promise<Inspector> {
  const server = createServer((request, response) => {
    if (!isOwn(request)) {
      response.writeHead(403).end()
      return
    }
    const policy = `default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src ws://${request.headers.host}; frame-src ${INSPECTOR}`
    response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': policy }).end(PAGE)
  })
  const sockets = new WebSocketServer({
    server,
    verifyClient: ({ req }: { req: IncomingMessage }) => isOwn(req),
  })
  // It repeats the errors of the server, which are raised below.
  sockets.on('error', () => undefined)
  /** The actors that a client has heard of. */
  const known = new Map<WebSocket, Set<string>>()
  let watch: { stop(): void } | undefined

  const introduce = (socket: WebSocket, id: string, machine: ActorReport['machine'], state: string): void => {
    const heard = known.get(socket)
    if (heard === undefined || heard.has(id)) return
    heard.add(id)
    const definition = JSON.stringify(MACHINES[machine].config, withoutCode)
    send(socket, { type: '@xstate.actor', name: id, definition, ...about(id), snapshot: snapshotOf(state) })
  }

  const begin = (): void => {
    watch ??= transitions.watch(({ transitions: steps }) => {
      for (const socket of known.keys()) {
        for (const { actor, machine, from, event: type, to } of steps) {
          introduce(socket, actor, machine, from)
          const event = { type }
          send(socket, { type: '@xstate.event', event, ...about(actor) })
          send(socket, { type: '@xstate.snapshot', event, ...about(actor), snapshot: snapshotOf(to) })
        }
      }
    })
  }

  sockets.on('connection', (socket) => {
    known.set(socket, new Set())
    socket.on('error', () => socket.terminate())
    socket.once('close', () => {
      known.delete(socket)
      if (known.size > 0) return
      watch?.stop()
      watch = undefined
    })
    for (const { id, machine, state } of actors.list()) introduce(socket, id, machine, state)
    begin()
  })

  server.listen(port, HOST)
  await once(server, 'listening').catch((error: unknown) => {
    throw taken(port, error)
  })
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://${HOST}:${bound}`,
    async close() {
      watch?.stop()
      for (const socket of sockets.clients) socket.terminate()
      sockets.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function send(socket: WebSocket, message: object): void {
  if (socket.bufferedAmount > MOST_WAITING_BYTES) socket.terminate()
  else socket.send(JSON.stringify(message))
}

function about(sessionId: string): object {
  return { sessionId, rootId: sessionId, id: null, createdAt: String(Date.now()), _version: VERSION }
}

function snapshotOf(value: string): object {
  return { status: 'active', value, context: {} }
}

/** A config has functions: actions, guards and delays. Their names are enough. */
function withoutCode(_key: string, value: unknown): unknown {
  return typeof value === 'function' ? { type: value.name || 'function' } : value
}

/** Whether a request comes from this machine by its own name, and from no page of another site. */
function isOwn({ headers: { host = '', origin } }: IncomingMessage): boolean {
  const isLoopback = /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)
  return isLoopback && (origin === undefined || origin === `http://${host}`)
}

const PAGE = `<!doctype html>
<html lang="en">
<title>Tapeline in Stately's inspector</title>
<style>html, body { height: 100%; margin: 0 } iframe { width: 100%; height: 100%; border: 0 }</style>
<iframe id="inspector" title="Stately's inspector" src="${INSPECTOR}/inspect"></iframe>
<script>
const frame = document.getElementById('inspector')
let waiting = []
const tell = (message) => frame.contentWindow.postMessage(message, '${INSPECTOR}')
addEventListener('message', ({ origin, data }) => {
  if (origin !== '${INSPECTOR}' || data?.type !== '@statelyai.connected' || waiting === undefined) return
  waiting.forEach(tell)
  waiting = undefined
})
new WebSocket('ws://' + location.host).onmessage = ({ data }) => {
  const message = JSON.parse(data)
  if (waiting === undefined) tell(message)
  else waiting.push(message)
}
</script>
</html>
`

/** Whether the inspector can listen on a port: before servers and databases are opened in vain. Raises PORT_IN_USE. */
export async function refuseTakenInspector(port: number): Promise<void> {
  await refuseTaken({ host: HOST, port }).catch((error: unknown) => {
    throw taken(port, error)
  })
}

function taken(port: number, cause: unknown): TapelineError {
  const remedy = 'Give --inspect another port, or 0 for any.'
  return new TapelineError('PORT_IN_USE', `the inspector cannot listen on ${HOST}:${port}`, { cause, remedy })
}
