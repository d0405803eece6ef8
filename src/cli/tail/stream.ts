import { WebSocket } from 'ws'
import { z } from 'zod'
import { onAbort } from '../../async/abort.ts'
import { startTimer } from '../../async/timers.ts'
import { streamWarningsSchema } from '../../domain/app-messages.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import { type ApiClient, answeredError, problemError } from '../api-client.ts'
import type { Terminal } from '../command.ts'
import { warningLines } from '../stream-warnings.ts'
import type { EventPrinter } from './event-printer.ts'
import { createOutage } from './outage.ts'

const CONNECT_MS = 10_000
/** The server pings every 20 s: silence for longer than this means that the connection is dead. */
const SILENCE_MS = 60_000

const messageSchema = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('subscribed'),
    cursor: z.string(),
    warnings: streamWarningsSchema.optional(),
  }),
  z.object({ op: z.literal('data'), cursor: z.string(), events: z.array(z.unknown()) }),
  z.object({ op: z.literal('reset'), reason: z.string(), cursor: z.string() }),
  z.object({ op: z.literal('end'), reason: z.string() }),
  z.object({
    op: z.literal('error'),
    code: z.string(),
    message: z.string(),
    remedy: z.string().optional(),
  }),
])

type ServerMessage = z.output<typeof messageSchema>

interface StreamReading {
  /** Finds the platform: it may have been started again at another address. Raises NOT_RUNNING. */
  readonly connect: () => ApiClient
  /** Id of the stream. */
  readonly stream: string
  /** Where to begin; what comes next without it. */
  readonly cursor: string | undefined
  readonly printer: EventPrinter
  readonly terminal: Terminal
}

/** How far a reading has come, over all its connections. */
interface Progress {
  cursor: string | undefined
  subscribed: boolean
}

/** How a connection came to its end. */
type Outcome = 'done' | { readonly cut: TapelineError }

/**
 * Prints a stream over a WebSocket until the limit, Ctrl-C or its end. A connection that is cut is opened again and goes on by
 * cursor, without a hole or a duplicate. Raises NOT_RUNNING where the first connection fails, and what the platform refuses.
 */
export async function followStream(reading: StreamReading): Promise<void> {
  const { terminal, cursor } = reading
  const progress: Progress = { cursor, subscribed: false }
  const outage = createOutage(terminal)
  while (!terminal.signal.aborted) {
    const outcome = await readConnection(reading, progress, () => outage.over())
    if (outcome === 'done') return
    if (!progress.subscribed) throw outcome.cut
    await outage.wait(outcome.cut, terminal.signal)
  }
}

async function readConnection(
  reading: StreamReading,
  progress: Progress,
  onSubscribed: () => void,
): Promise<Outcome> {
  const { stream, printer, terminal } = reading
  const outcome = Promise.withResolvers<Outcome>()
  const stop = (): void => outcome.resolve('done')
  const fail = (cut: TapelineError): void => outcome.resolve({ cut })
  const take = (message: ServerMessage): void => {
    switch (message.op) {
      case 'subscribed':
        progress.cursor ??= message.cursor
        // Once: what is said again after each cut says nothing new.
        if (!progress.subscribed)
          for (const line of warningLines(message.warnings)) terminal.note(`Warning: ${line}`)
        progress.subscribed = true
        onSubscribed()
        break
      case 'data':
        printer.print(message.events)
        progress.cursor = message.cursor
        if (printer.isFull) stop()
        break
      case 'reset':
        terminal.note(`a hole: ${message.reason}`)
        progress.cursor = message.cursor
        break
      case 'end':
        terminal.note(`the stream ${stream} has ended: ${message.reason}`)
        stop()
        break
      case 'error': {
        const { code, message: text, remedy } = message
        fail(answeredError(code, text, { ...(remedy !== undefined && { remedy }) }))
      }
    }
  }

  let socket: WebSocket | undefined
  const off = onAbort(terminal.signal, stop)
  try {
    socket = openSocket(reading.connect(), {
      hello: () => ({ op: 'subscribe', stream, ...(progress.cursor && { cursor: progress.cursor }) }),
      take,
      fail,
    })
    return await outcome.promise
  } catch (error) {
    return { cut: toTapelineError(error) }
  } finally {
    off()
    socket?.terminate()
  }
}

interface SocketHandlers {
  /** What is sent once it is open. */
  readonly hello: () => object
  readonly take: (message: ServerMessage) => void
  /** Called at least once when the connection fails, is silent or closes. */
  readonly fail: (error: TapelineError) => void
}

function openSocket({ address, headers, tls }: ApiClient, { hello, take, fail }: SocketHandlers): WebSocket {
  const socket = new WebSocket(`${address.replace(/^http/, 'ws')}/v1/ws`, {
    ...tls,
    headers,
    handshakeTimeout: CONNECT_MS,
    perMessageDeflate: false,
  })
  const silent = startTimer(() => fail(new TapelineError('TIMEOUT', `${address} is silent`)), SILENCE_MS)
  const lost = (reason: string, cause?: unknown): void =>
    fail(new TapelineError('NOT_RUNNING', `no connection to ${address}: ${reason}`, { cause }))

  socket.on('open', () => socket.send(JSON.stringify(hello())))
  socket.on('ping', () => silent.restart())
  socket.on('message', (bytes) => {
    silent.restart()
    try {
      take(messageSchema.parse(JSON.parse(String(bytes))))
    } catch (error) {
      fail(toTapelineError(error))
    }
  })
  socket.on('unexpected-response', (_request, response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (part: string) => {
      text += part
    })
    response.on('end', () => fail(problemError(text, address)))
  })
  socket.on('error', (error) => lost(error.message, error))
  socket.on('close', (code) => {
    silent.stop()
    lost(`it was closed (${code})`)
  })
  return socket
}
