import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import {
  addressesOf,
  type Greeting,
  marketsOfConnection,
  type SourceKey,
  type SourceKind,
} from '../../adapters/source/feed/source-kind.ts'
import { readBody, redactor, shownWords, wordsOfBody } from '../../adapters/source/feed/words.ts'
import { kindOf } from '../../adapters/source/index.ts'
import { untilAborted } from '../../async/abort.ts'
import { orAfter } from '../../async/deadline.ts'
import { type Config, type ReachConfig, type SourceConfig, sourcesOf } from '../../config.ts'
import { didYouMean } from '../../domain/near.ts'
import { symbolMatcher } from '../../domain/routing.ts'
import { fallbackName, marketsOf, openListing, sourceKey, toMarket } from '../../topology/sources.ts'
import { type Finding, fail, failure, ok, warn } from './finding.ts'

/** How long each step has: resolving the name, connecting, the WebSocket's first message. */
const STEP_MS = 2_500

const NETWORK = 'Check the network, a firewall and the address; a platform goes on trying by itself.'
/** Whether the sources can be reached: the key of each, and for each address the name, the port and the WebSocket. */
export async function checkSource(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const settings = sourcesOf(config)
  const checked = settings.flatMap((each) => {
    const about = settings.length > 1 ? `source ${kindOf(each).name}` : 'source'
    const fallback = each.fallback && { about: `source ${fallbackName(each)}`, own: each.fallback }
    return [{ about, own: each as ReachConfig }, ...(fallback ? [fallback] : [])]
  })
  const found = await Promise.all([
    ...checked.map(({ about, own }) =>
      checkConfigured(about, own, config, signal).catch((error: unknown) => [failure(about, error)]),
    ),
    ...settings.map((each) => {
      const about = settings.length > 1 ? `source ${kindOf(each).name} markets` : 'source markets'
      return checkMarkets(about, each, signal).catch((error: unknown) => [failure(about, error)])
    }),
  ])
  return found.flat()
}

/** As many markets are named; of the others there is the number. */
const MOST_NAMED = 10

/** How many connections so many markets need, against what one takes. */
function spread(kind: SourceKind, markets: number, { channels }: Pick<SourceConfig, 'channels'>): string {
  const asked = channels.filter((channel) => kind.channels.includes(channel)).length
  const most = marketsOfConnection(kind, asked)
  const needed = most === undefined ? 1 : Math.max(1, Math.ceil(markets / most))
  const connections = needed === 1 ? 'one connection' : `${needed} connections`
  const limit = kind.mostSubscriptions === undefined ? '' : `, of which one takes ${kind.mostSubscriptions}`
  return `${markets * asked} subscriptions over ${connections}${limit}`
}

/** Whether the exchange lists each market that is asked for, where it tells what it trades, and how near they are to what one connection takes. */
async function checkMarkets(check: string, settings: SourceConfig, signal: AbortSignal): Promise<Finding[]> {
  // Who stands in for the service by an address has not said where its REST is.
  const isElsewhere = settings.url !== undefined && settings.restUrl === undefined
  const list = isElsewhere ? undefined : await openListing(settings)
  const kind = kindOf(settings)
  const wanted = marketsOf(settings).map(toMarket)
  if (list === undefined) {
    const lack = isElsewhere
      ? 'source.restUrl does not say where its list is'
      : 'it does not list what it trades'
    const summary = `${kind.title} is asked for ${wanted.length} (${spread(kind, wanted.length, settings)})`
    return [ok(check, `${summary}; ${lack}: the alert source-markets names those that it does not have`)]
  }
  const listed = (await within(list(signal), signal)).filter(({ isTrading }) => isTrading)
  const matched = wanted.map(({ symbol }) => {
    const matches = symbolMatcher(symbol)
    return listed.filter((each) => matches(each.symbol))
  })
  const unknown = wanted.filter((_, i) => matched[i]?.length === 0)
  const count = new Set(matched.flat().map(({ symbol }) => symbol)).size
  const summary = `${kind.title} lists ${count} of them (${spread(kind, count, settings)})`
  if (unknown.length === 0) return [ok(check, summary)]
  const symbols = listed.map(({ symbol }) => symbol)
  const named = unknown.slice(0, MOST_NAMED).map(({ symbol }) => `${symbol}${didYouMean(symbol, symbols)}`)
  const others = unknown.length > MOST_NAMED ? ` and ${unknown.length - MOST_NAMED} more` : ''
  const remedy = 'Correct source.markets; tapeline instruments lists what there is.'
  return [warn(check, `${summary}; it does not trade ${named.join(', ')}${others}`, remedy)]
}

async function checkConfigured(
  about: string,
  settings: ReachConfig,
  config: Config,
  signal: AbortSignal,
): Promise<Finding[]> {
  const kind = kindOf(settings)
  const key = sourceKey(settings, config)
  const { socket, rest } = addressesOf(kind, settings, key)
  const look = { redact: redactor([key ?? '']), signal }
  return Promise.all([
    ...(kind.key ? [checkKey(about, kind.key, key)] : []),
    // A service that wants a key and gets none answers nothing that says more.
    ...(socket
      ? [checkAddress(about, socket, look, key === '' ? undefined : () => greet(kind, socket, look))]
      : []),
    ...(kind.loadSockets ? [checkLibrary(about, kind, settings)] : []),
    ...(rest ? [checkAddress(`${about} REST`, rest, look)] : []),
  ])
}

/** Whether the library is there, and has the exchange. */
async function checkLibrary(check: string, kind: SourceKind, settings: ReachConfig): Promise<Finding> {
  await kind.loadSockets?.(settings)
  return ok(check, `${kind.title}: the library is there`)
}

function checkKey(about: string, { variable, remedy }: SourceKey, key: string | undefined): Finding {
  const check = `${about} key`
  return key ? ok(check, 'present') : fail(check, `${variable} is not set`, remedy)
}

interface Look {
  readonly redact: (text: string) => string
  readonly signal: AbortSignal
}

/** Resolves the name and connects; `speaks` looks further. */
async function checkAddress(
  check: string,
  url: URL,
  { redact, signal }: Look,
  speaks?: () => Promise<Greeting>,
): Promise<Finding> {
  const { hostname, host, protocol } = url
  const port = Number(url.port) || (/^(https|wss):$/.test(protocol) ? 443 : 80)
  const name = hostname.replace(/^\[|\]$/g, '')
  try {
    await within(lookup(name), signal)
  } catch (error) {
    return fail(check, `the name ${name} cannot be resolved: ${shown(error, redact)}`, NETWORK)
  }
  try {
    await connectTo(name, port, signal)
  } catch (error) {
    return fail(check, `no connection to ${host}: ${shown(error, redact)}`, NETWORK)
  }
  if (speaks === undefined) return ok(check, `${host} answers`)
  try {
    const greeting = await speaks()
    return { check, ...greeting, detail: `${host} ${greeting.detail}` }
  } catch (error) {
    return fail(check, `${host} does not speak WebSocket: ${shown(error, redact)}`, NETWORK)
  }
}

function connectTo(host: string, port: number, signal: AbortSignal): Promise<void> {
  const socket = connect({ host, port })
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve())
    socket.once('error', reject)
  })
  return within(connected, signal).finally(() => socket.destroy())
}

/** Opens the WebSocket, and reads its first message where the service sends one without being asked. */
async function greet({ greeting }: SourceKind, url: URL, { redact, signal }: Look): Promise<Greeting> {
  const socket = new WebSocket(url, { handshakeTimeout: STEP_MS, perMessageDeflate: false })
  const opened = new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.on('error', reject)
    socket.once('unexpected-response', async (request, response) => {
      const words = wordsOfBody(await readBody(response))
      request.destroy()
      reject(new Error(`refused with HTTP ${response.statusCode}${words && `: ${words}`}`))
    })
  })
  const message = new Promise<string>((resolve, reject) => {
    socket.once('message', (bytes) => resolve(String(bytes)))
    socket.once('close', (code, reason) => reject(new Error(`closed by the other side (${code}) ${reason}`)))
  })
  // Nobody waits for it where the socket was not opened, or where it need not say anything.
  message.catch(() => undefined)
  try {
    await within(opened, signal)
    if (greeting === undefined) return { status: 'ok', detail: 'speaks WebSocket' }
    return greeting(await within(message, signal), redact)
  } finally {
    socket.terminate()
  }
}

/** Rejects when the step takes too long. */
function within<T>(step: Promise<T>, signal: AbortSignal): Promise<T> {
  const deadline = orAfter(signal, STEP_MS)
  return untilAborted(step, deadline, () => new Error(`no answer within ${STEP_MS / 1000} s`))
}

function shown(error: unknown, redact: (text: string) => string): string {
  return shownWords(error instanceof Error ? error.message : String(error), redact)
}
