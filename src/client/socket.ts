import { startTimer } from '../async/timers.ts'
import type { Channel } from '../domain/events.ts'
import type { Address } from './http.ts'

/** What the platform says about one stream. */
export type ServerMessage =
  | {
      readonly op: 'subscribed'
      readonly stream: string
      readonly cursor: string
      readonly channel?: Channel
    }
  | {
      readonly op: 'data'
      readonly stream: string
      readonly cursor: string
      readonly events: readonly object[]
      readonly skipped?: number
    }
  | { readonly op: 'reset'; readonly stream: string; readonly reason: string; readonly cursor: string }
  | { readonly op: 'end'; readonly stream: string; readonly reason: string }
  | { readonly op: 'error'; readonly code: string; readonly message: string; readonly remedy?: string }
  | { readonly op: 'pong' }

/** After so long without a word the platform is asked for one, and after as long again the connection is given up. */
const QUIET_MS = 20_000

interface SocketHandlers {
  readonly onOpen: () => void
  readonly onMessage: (message: ServerMessage) => void
  /** The connection is over, or was never made. Called once. */
  readonly onGone: () => void
}

/** A connection that was asked for. */
export interface StreamSocket {
  send(message: object): void
  /** Nothing is heard of it afterwards. */
  close(): void
}

/** Opens the WebSocket of a platform. A peer that says nothing any more is noticed, since a browser does not show pings. */
export function openSocket({ url, key }: Address, handlers: SocketHandlers): StreamSocket {
  const socket = connect(`${url.replace(/^http/, 'ws')}/v1/ws`, key)
  let isOver = false
  let isAsked = false
  const watch = startTimer(() => {
    if (isAsked || socket.readyState !== socket.OPEN) return over()
    isAsked = true
    socket.send('{"op":"ping"}')
    watch.restart()
  }, QUIET_MS)
  const over = (): void => {
    if (isOver) return
    end()
    handlers.onGone()
  }
  const end = (): void => {
    isOver = true
    watch.stop()
    socket.close()
  }
  socket.onopen = () => {
    if (!isOver) handlers.onOpen()
  }
  socket.onmessage = ({ data }) => {
    if (isOver) return
    isAsked = false
    watch.restart()
    handlers.onMessage(JSON.parse(String(data)) as ServerMessage)
  }
  socket.onclose = over
  socket.onerror = over
  return {
    send: (message) => socket.send(JSON.stringify(message)),
    close: end,
  }
}

/** Node sends the key in a header. A browser cannot: there it stands in the address. */
function connect(url: string, key: string | undefined): WebSocket {
  if (key === undefined) return new WebSocket(url)
  const isNode = typeof process === 'object' && process.versions?.node !== undefined
  if (!isNode) return new WebSocket(`${url}?key=${encodeURIComponent(key)}`)
  // The types of browsers know no headers here.
  const NodeSocket = WebSocket as unknown as new (address: string, options: object) => WebSocket
  return new NodeSocket(url, { headers: { authorization: `Bearer ${key}` } })
}
