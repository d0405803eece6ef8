import { WebSocket } from 'ws'
import { startTimer, type Timer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import { startPulse } from './pulse.ts'
import { ReconnectPacer, type ReconnectTiming } from './reconnect-pacer.ts'
import { readBody, refusalByStatus, shownWords, wordsOfBody } from './words.ts'

/** Larger frames than any that we subscribe to; a peer that sends one loses the connection. */
const MOST_FRAME_BYTES = 4 * 1024 * 1024

/** How long a peer has to answer our close before the socket is cut. */
const CLOSE_MS = 500

/** After this many attempts in a row without delivery the way counts as down, however quick they were. */
const FEW_ATTEMPTS = 3

/** What a link needs of a connection: a WebSocket, or what looks like one. */
export interface LinkSocket
  extends Pick<WebSocket, 'readyState' | 'on' | 'once' | 'send' | 'ping' | 'close' | 'terminate'> {}

export interface LinkOptions {
  /** Opens one more connection. */
  readonly open: () => LinkSocket
  readonly reconnect: ReconnectTiming
  /** How long a new connection has until it delivers. */
  readonly connectTimeoutMs: number
  /** How long the link may be without delivery before it counts as down. */
  readonly downAfterMs: number
  /** Takes secrets out of what the service says. */
  readonly redact: (text: string) => string
}

export interface LinkListener {
  /** The socket is open: time to subscribe. */
  opened(): void
  frame(data: Buffer): void
  /** A connection, or an attempt, ended. `delivered` tells which. */
  lost(error: TapelineError, delivered: boolean): void
  /** The link has been without delivery for too long, or was refused. Called once until it delivers again. */
  down(): void
}

/** Opens a WebSocket. The address may carry a secret: it is never shown. */
export function openWebSocket(address: URL): WebSocket {
  return new WebSocket(address, {
    perMessageDeflate: false,
    maxPayload: MOST_FRAME_BYTES,
    // A text frame that is not UTF-8 is a malformed frame to count, not a reason to lose the connection.
    skipUTF8Validation: true,
  })
}

/**
 * One WebSocket that is kept open: it connects, and connects again with back-off whenever a connection ends, fails, or does
 * not deliver in time, until `stop`. Its owner says what counts as delivering, and what counts as failing.
 */
export class Link {
  readonly #options: LinkOptions
  readonly #listener: LinkListener
  readonly #pacer: ReconnectPacer
  #wanted = false
  #socket: LinkSocket | undefined
  #deliveringSince: number | undefined
  #failedAttempts = 0
  #down = false
  #failure: TapelineError | undefined
  /** What the service complained of, until something is delivered. */
  #complaint: TapelineError | undefined
  #deadline: Timer | undefined
  #retry: Timer | undefined
  #downTimer: Timer | undefined

  constructor(options: LinkOptions, listener: LinkListener) {
    this.#options = options
    this.#listener = listener
    this.#pacer = new ReconnectPacer(options.reconnect)
  }

  get delivering(): boolean {
    return this.#deliveringSince !== undefined
  }

  /** Whether it was without delivery for too long, or refused, and does not deliver yet. */
  get down(): boolean {
    return this.#down
  }

  /** Why the last connection or attempt ended, until one delivers. */
  get failure(): TapelineError | undefined {
    return this.#failure
  }

  /** Begins to connect; nothing when it has begun already. */
  start(): void {
    if (this.#wanted) return
    this.#wanted = true
    this.#watchOutage()
    this.#retry = startTimer(() => this.#connect(), this.#pacer.restMs())
  }

  /** Sends a frame when the socket is open; else nothing: what `opened` sends covers it. */
  send(frame: string): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(frame)
  }

  /** The owner saw that the present connection delivers. */
  delivers(): void {
    if (this.#deliveringSince !== undefined) return
    this.#deliveringSince = performance.now()
    this.#down = false
    this.#failure = undefined
    this.#complaint = undefined
    this.#deadline?.stop()
    this.#downTimer?.stop()
  }

  /**
   * The service refuses something without saying of what, and delivers nothing: that is why the link is down, until something is
   * delivered. The connection keeps its time to deliver.
   */
  refused(error: TapelineError): void {
    if (this.delivering) return
    this.#complaint = error
    this.#failure = error
    this.#goDown()
  }

  /** The owner gives up the present connection: refused, stale, or told to go. */
  fail(error: TapelineError): void {
    if (this.#socket) this.#ended(this.#socket, error)
  }

  /** Closes the socket and connects no more until `start`. Resolves when the socket has gone. */
  async stop(): Promise<void> {
    this.#wanted = false
    this.#downTimer?.stop()
    this.#deadline?.stop()
    this.#retry?.stop()
    this.#down = false
    this.#failure = undefined
    this.#deliveringSince = undefined
    const socket = this.#socket
    this.#socket = undefined
    if (socket) await closed(socket)
  }

  #connect(): void {
    this.#pacer.connecting()
    const socket = this.#options.open()
    this.#socket = socket
    this.#deadline = startTimer(
      () => this.#ended(socket, this.#silence(socket)),
      this.#options.connectTimeoutMs,
    )
    socket.on('open', () => {
      if (socket !== this.#socket) return
      const gone = new TapelineError('SOURCE_STALE', 'websocket: the other side answers no ping')
      const pulse = startPulse(socket, () => this.#ended(socket, gone))
      socket.once('close', () => pulse.stop())
      this.#listener.opened()
    })
    socket.on('message', (data) => {
      if (socket === this.#socket && Buffer.isBuffer(data)) this.#listener.frame(data)
    })
    socket.on('unexpected-response', async (request, response) => {
      const words = this.#shown(wordsOfBody(await readBody(response)))
      request.destroy()
      this.#ended(socket, refusalByStatus('websocket', response.statusCode ?? 0, words))
    })
    socket.on('error', (error) =>
      this.#ended(socket, unavailable(this.#shown(error.message || errorCode(error)))),
    )
    socket.on('close', (code, reason) => {
      const words = this.#shown(reason.toString())
      this.#ended(socket, unavailable(`closed by the other side (${code})${words && `: ${words}`}`))
    })
  }

  #shown(words: string): string {
    return shownWords(words, this.#options.redact)
  }

  #silence(socket: LinkSocket): TapelineError {
    const waited = `within ${this.#options.connectTimeoutMs} ms`
    return socket.readyState === WebSocket.OPEN
      ? new TapelineError('SOURCE_STALE', `websocket: connected, but nothing was delivered ${waited}`)
      : unavailable(`no connection ${waited}`)
  }

  #ended(socket: LinkSocket, error: TapelineError): void {
    if (socket !== this.#socket) return
    this.#socket = undefined
    this.#deadline?.stop()
    socket.terminate()
    const since = this.#deliveringSince
    const livedMs = since === undefined ? 0 : performance.now() - since
    this.#deliveringSince = undefined
    const failure = this.#explained(error)
    this.#failure = failure
    // A connection that ends soon after each connect is no better than none.
    this.#failedAttempts = livedMs < this.#options.downAfterMs ? this.#failedAttempts + 1 : 0
    if (since !== undefined) {
      this.#pacer.lived(livedMs)
      this.#watchOutage()
    }
    this.#retry = startTimer(() => this.#connect(), this.#pacer.delayMs(isRefusal(failure)))
    this.#listener.lost(failure, since !== undefined)
    if (isRefusal(failure) || this.#failedAttempts >= FEW_ATTEMPTS) this.#goDown()
  }

  /** Why a connection ended, with what the service complained of before. */
  #explained(error: TapelineError): TapelineError {
    const complaint = this.#complaint
    if (complaint === undefined) return error
    const code = error.code === 'SOURCE_STALE' ? complaint.code : error.code
    const before = complaint.message.replace(/^websocket: /, '')
    return new TapelineError(code, `${error.message}; the service said: ${before}`)
  }

  #watchOutage(): void {
    this.#downTimer = startTimer(() => this.#goDown(), this.#options.downAfterMs)
  }

  #goDown(): void {
    if (this.#down) return
    this.#down = true
    this.#failure ??= unavailable(`not connected within ${this.#options.downAfterMs} ms`)
    this.#listener.down()
  }
}

/** A refused key or a rate limit will not go away by trying a few times more. */
function isRefusal(error: TapelineError): boolean {
  return error.code === 'SOURCE_UNAUTHORIZED' || error.code === 'SOURCE_RATE_LIMITED'
}

function unavailable(what: string): TapelineError {
  return new TapelineError('SOURCE_UNAVAILABLE', `websocket: ${what}`)
}

/** Node leaves the message empty when all addresses of a host failed. */
function errorCode(error: Error): string {
  return 'code' in error ? String(error.code) : error.name
}

/** Closes a socket politely, and cuts it when the peer does not answer. */
function closed(socket: LinkSocket): Promise<void> {
  if (socket.readyState === WebSocket.CLOSED) return Promise.resolve()
  return new Promise((resolve) => {
    const cut = startTimer(() => socket.terminate(), CLOSE_MS)
    socket.once('close', () => {
      cut.stop()
      resolve()
    })
    if (socket.readyState === WebSocket.OPEN) socket.close(1000)
    else socket.terminate()
  })
}
