import { lookup as systemLookup } from 'node:dns/promises'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { onAbort } from '../../../async/abort.ts'
import { startTimer } from '../../../async/timers.ts'
import { TapelineError, toTapelineError } from '../../../errors.ts'
import type {
  WebhookAnswer,
  WebhookMessage,
  WebhookReceiver,
  WebhookSender,
} from '../../../ports/webhooks.ts'
import { type AddressGuard, createAddressGuard } from './addresses.ts'
import { newSecret, signatureHeaders } from './signature.ts'

/** How long a connection may take, with the look-up of the name and TLS. */
const CONNECT_MS = 5_000
/** So much of an answer is read, and nothing of it is kept: a longer one ends its connection. */
const MOST_ANSWER_BYTES = 16 * 1024
/** The longest rest that a receiver may ask for. */
const LONGEST_REST_MS = 300_000
/** A connection that nobody uses is kept for so long. */
const KEEP_ALIVE_MS = 15_000
const GONE = 410

export interface WebhookSenderOptions {
  /** How long an attempt may take, in milliseconds. */
  readonly timeoutMs: number
  /** Addresses and networks that may be connected to, besides the public ones. */
  readonly allowed: readonly string[]
  readonly userAgent: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Gives all addresses of a name. */
  readonly resolve?: (name: string) => Promise<readonly string[]>
}

/**
 * Sends webhooks over HTTP and HTTPS. Each connection goes to an address that was judged itself: what a name means is looked up once a
 * connection, and what was refused is not connected to. Redirects are answers like any other failure.
 */
export function createWebhookSender({
  timeoutMs,
  allowed,
  userAgent,
  now,
  resolve = resolveBySystem,
}: WebhookSenderOptions): WebhookSender {
  const mayConnect = createAddressGuard(allowed)
  const lookup = guardedLookup(resolve, mayConnect)
  const agentOptions = { keepAlive: true, timeout: KEEP_ALIVE_MS, lookup }
  const agents = { http: new HttpAgent(agentOptions), https: new HttpsAgent(agentOptions) }

  const open = (url: URL, headers: Record<string, string>) =>
    url.protocol === 'https:'
      ? httpsRequest(url, { method: 'POST', agent: agents.https, headers })
      : httpRequest(url, { method: 'POST', agent: agents.http, headers })

  const post = (
    receiver: WebhookReceiver,
    message: WebhookMessage,
    mayGo: () => boolean,
    signal: AbortSignal,
  ): ReturnType<WebhookSender['send']> =>
    new Promise((settle, reject) => {
      const url = new URL(receiver.url)
      refuseLiteral(url, mayConnect)
      const request = open(url, {
        ...signatureHeaders(receiver.secret, message, Math.floor(now() / 1000)),
        'content-type': 'application/json',
        'content-length': String(message.body.byteLength),
        'user-agent': userAgent,
      })
      const end = (outcome: () => void): void => {
        off()
        connecting.stop()
        answering.stop()
        outcome()
      }
      const give = (why: string, ms: number) => (): void => {
        request.destroy(failed(`${why} within ${ms / 1000} s`))
      }
      const connecting = startTimer(give('no connection', CONNECT_MS), Math.min(CONNECT_MS, timeoutMs))
      const answering = startTimer(give('no answer', timeoutMs), timeoutMs)
      const off = onAbort(signal, () => {
        request.destroy()
        end(() => reject(signal.reason))
      })
      // This process may have stood still while it connected.
      const go = (): void => {
        connecting.stop()
        if (mayGo()) request.end(message.body)
        else {
          end(() => settle({ kind: 'held' }))
          request.destroy()
        }
      }
      request.once('socket', (socket) => {
        if (!socket.connecting) go()
        else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', go)
      })
      request.once('error', (error) => end(() => settle({ kind: 'failed', error: failureOf(error) })))
      request.once('response', (response) => {
        discard(response)
        end(() => settle(answerOf(response, now())))
      })
      // Without a listener its connection would end, and nothing would be told: neither an error nor an answer.
      request.once('upgrade', (response, socket) => {
        socket.destroy()
        end(() => settle(answerOf(response, now())))
      })
    })

  return {
    longestMs: timeoutMs,
    newSecret,
    async send(receiver, message, mayGo, signal) {
      signal.throwIfAborted()
      try {
        return await post(receiver, message, mayGo, signal)
      } catch (error) {
        if (signal.aborted) throw signal.reason
        return { kind: 'failed', error: failureOf(error) }
      }
    },
    async check(text) {
      const url = new URL(text)
      refuseLiteral(url, mayConnect)
      const { hostname } = url
      if (isIP(bare(hostname)) !== 0) return
      const addresses = await resolve(hostname).catch(() => [])
      if (addresses.length > 0 && !addresses.some(mayConnect)) throw refused(hostname)
    },
    close() {
      agents.http.destroy()
      agents.https.destroy()
    },
  }
}

async function resolveBySystem(name: string): Promise<readonly string[]> {
  return (await systemLookup(name, { all: true })).map(({ address }) => address)
}

/** What `net` connects to is what this gives, and nothing else: no second look-up can bring another address. */
function guardedLookup(
  resolve: (name: string) => Promise<readonly string[]>,
  mayConnect: AddressGuard,
): LookupFunction {
  return (name, options, callback) => {
    resolve(name)
      .then((addresses) => {
        const wanted = options.family === 4 || options.family === 6 ? options.family : undefined
        const found = addresses
          .filter((address) => mayConnect(address))
          .map((address) => ({ address, family: isIP(address) }))
          .filter(({ family }) => wanted === undefined || family === wanted)
        const [first] = found
        if (first === undefined) throw refused(name)
        if (options.all) callback(null, found)
        else callback(null, first.address, first.family)
      })
      .catch((error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), []))
  }
}

/** An address in the place of a name is never looked up. */
function refuseLiteral({ hostname }: URL, mayConnect: AddressGuard): void {
  const address = bare(hostname)
  if (isIP(address) !== 0 && !mayConnect(address)) throw refused(hostname)
}

function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

/** The address of a name stays untold: whoever makes webhooks must not learn by them what the platform's own network is like. */
function refused(host: string): TapelineError {
  return new TapelineError('WEBHOOK_ADDRESS_REFUSED', `${host} leads to where webhooks may not go`)
}

function failed(message: string, cause?: unknown): TapelineError {
  return new TapelineError('WEBHOOK_FAILED', message, { cause })
}

function failureOf(error: unknown): TapelineError {
  if (error instanceof TapelineError) return error
  const { message } = toTapelineError(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return failed(message || code || 'the connection failed', error)
}

/** Reads an answer to its end, so that its connection can be used again, but no further than it may be long. */
function discard(response: IncomingMessage): void {
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MOST_ANSWER_BYTES) response.destroy()
  })
  // The status has said all: what becomes of the rest changes nothing.
  response.on('error', () => undefined)
  const late = startTimer(() => response.destroy(), CONNECT_MS).unref()
  response.once('close', () => late.stop())
}

function answerOf({ statusCode = 0, headers }: IncomingMessage, nowMs: number): WebhookAnswer {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'accepted' }
  if (statusCode === GONE)
    return { kind: 'gone', error: new TapelineError('WEBHOOK_GONE', 'the receiver answered 410') }
  const isRedirect = statusCode >= 300 && statusCode < 400
  const error = failed(
    `the receiver answered ${statusCode}${isRedirect ? ': redirects are not followed' : ''}`,
  )
  const restMs = restOf(headers['retry-after'], nowMs)
  return { kind: 'failed', error, ...(restMs !== undefined && { restMs }) }
}

/** Source: RFC 9110, section 10.2.3: seconds, or a date. */
function restOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isNaN(ms) ? undefined : Math.min(LONGEST_REST_MS, Math.max(0, ms))
}
