import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import { type ClientOptions, WebSocket } from 'ws'
import type { Answer } from './http.ts'

type Message = Readonly<Record<string, unknown>>

/** A plain WebSocket client that keeps what arrives until it is asked for. */
export interface SocketClient {
  readonly socket: WebSocket
  /** Sends an object as JSON, and anything else as it is. */
  send(message: unknown): void
  /** The next message, waiting for it. */
  next(): Promise<Message>
  /** Close code and reason. */
  readonly closed: Promise<{ code: number; reason: string }>
}

/** Opens a WebSocket to an address that starts with http; it is cut when the test ends. */
export async function openSocket(
  context: Pick<TestContext, 'after'>,
  url: string,
  options: ClientOptions = {},
): Promise<SocketClient> {
  const socket = new WebSocket(url.replace('http', 'ws'), options)
  const arrived: Message[] = []
  const waiting: ((message: Message) => void)[] = []
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as Message
    const take = waiting.shift()
    if (take === undefined) arrived.push(message)
    else take(message)
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }))
  })
  await once(socket, 'open')
  socket.on('error', () => {})
  context.after(() => socket.terminate())
  return {
    socket,
    closed,
    send: (message) => socket.send(isRaw(message) ? message : JSON.stringify(message)),
    next: () => {
      const message = arrived.shift()
      return message === undefined
        ? new Promise((resolve) => waiting.push(resolve))
        : Promise.resolve(message)
    },
  }
}

function isRaw(message: unknown): message is string | Buffer {
  return typeof message === 'string' || Buffer.isBuffer(message)
}

/** The HTTP answer that refuses a WebSocket. */
export async function refusal(url: string, options: ClientOptions = {}): Promise<Answer> {
  const socket = new WebSocket(url.replace('http', 'ws'), options)
  socket.on('error', () => {})
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) }
}
