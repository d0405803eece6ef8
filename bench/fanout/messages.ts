/** How a server sends to its sockets: through the platform's delivery, or in a loop. */
export type Kind = 'tapeline' | 'bare'

/** What a server is asked for. `perSecond`: so many frames a second; left out: as many as the sockets take. */
export interface Emission {
  readonly frames: number
  readonly eventsAFrame: number
  readonly perSecond?: number
  /** How large an event is, about; left out: as a trade is. */
  readonly bytes?: number
  /** Whether to wait until every socket has taken what was sent, but for so many that came first and take nothing. */
  readonly isDrained: boolean
  readonly stalled: number
}

/** What became of it. */
export interface Emitted {
  readonly seconds: number
  /** Of all threads of the server. */
  readonly cpuMicros: number
  /** What waits in sockets afterwards, and what the process holds. */
  readonly pendingBytes: number
  readonly rssBytes: number
}

/** What a server says: where it listens, then an answer to each emission. */
export type ServerSaid = { readonly port: number } | { readonly emitted: Emitted }

/** What the clients are told: to open sockets, which read nothing where they are stalled; or to tell what has come since the last time, once it is all. */
export type ClientAsked =
  | { readonly open: number; readonly port: number; readonly isStalled: boolean }
  | { readonly report: number }

/** Events that came, and the time that each took to here: in milliseconds. */
export interface Report {
  readonly events: number
  readonly p50: number
  readonly p99: number
}

export type ClientSaid = { readonly opened: number } | { readonly report: Report }

export const STREAM = 'lease'
export const SUBSCRIBE = JSON.stringify({ op: 'subscribe', stream: STREAM })
