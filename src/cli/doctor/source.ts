import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { COINBASE_WEBSOCKET } from '../../adapters/source/coinbase.ts'
import { CRYPTOCOMPARE_REST, CRYPTOCOMPARE_WEBSOCKET } from '../../adapters/source/cryptocompare.ts'
import { parseAddress } from '../../adapters/source/feed/address.ts'
import { parseObject } from '../../adapters/source/feed/text.ts'
import { readBody, redactor, shownWords, wordsOfBody } from '../../adapters/source/feed/words.ts'
import { untilAborted } from '../../async/abort.ts'
import type { Config } from '../../config.ts'
import { type Finding, fail, failure, ok, warn } from './finding.ts'

/** How long each step has: resolving the name, connecting, the WebSocket's first message. */
const STEP_MS = 2_500

const SOCKET = ['ws:', 'wss:']

const NETWORK = 'Check the network, a firewall and the address; a platform goes on trying by itself.'
const KEY =
  'Set CRYPTOCOMPARE_API_KEY; or use Coinbase without a key (--live); or a simulator (--simulator URL). npm start needs none.'

/** Whether the source can be reached: its key, and for each address the name, the port and the WebSocket. */
export function checkSource(config: Config, signal: AbortSignal): Promise<Finding[]> {
  return checkConfigured(config, signal).catch((error: unknown) => [failure('source', error)])
}

async function checkConfigured(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const { kind, url, restUrl } = config.source
  switch (kind) {
    case 'coinbase':
      return Promise.all([
        checkAddress('source', parseAddress('source.url', url ?? COINBASE_WEBSOCKET, SOCKET), '', signal),
      ])
    case 'cryptocompare': {
      const key = config.cryptoCompareKey ?? (url === undefined ? '' : 'simulator')
      const socket = parseAddress('source.url', url ?? CRYPTOCOMPARE_WEBSOCKET, SOCKET)
      const rest = parseAddress('source.restUrl', restUrl ?? CRYPTOCOMPARE_REST, ['http:', 'https:'])
      socket.searchParams.set('api_key', key)
      return Promise.all([
        key === ''
          ? fail('source key', 'CRYPTOCOMPARE_API_KEY is not set', KEY)
          : ok('source key', 'present'),
        checkAddress('source', socket, key, signal),
        checkAddress('source REST', rest, key, signal),
      ])
    }
  }
}

async function checkAddress(check: string, url: URL, key: string, signal: AbortSignal): Promise<Finding> {
  const { hostname, host, protocol } = url
  const port = Number(url.port) || (/^(https|wss):$/.test(protocol) ? 443 : 80)
  const name = hostname.replace(/^\[|\]$/g, '')
  try {
    await within(lookup(name), signal)
  } catch (error) {
    return fail(check, `the name ${name} cannot be resolved: ${shown(error, key)}`, NETWORK)
  }
  try {
    await connectTo(name, port, signal)
  } catch (error) {
    return fail(check, `no connection to ${host}: ${shown(error, key)}`, NETWORK)
  }
  // A service that wants a key and gets none answers nothing that says more.
  if (!protocol.startsWith('ws') || url.searchParams.get('api_key') === '')
    return ok(check, `${host} answers`)
  try {
    const first = await firstMessage(url, signal)
    return first === undefined ? ok(check, `${host} speaks WebSocket`) : judge(check, host, first, key)
  } catch (error) {
    return fail(check, `${host} does not speak WebSocket: ${shown(error, key)}`, NETWORK)
  }
}

/** CryptoCompare's first message says whether the key is good. Source: its WebSocket documentation, message types. */
function judge(check: string, host: string, text: string, key: string): Finding {
  const message = parseObject(text)
  const type = String(message?.['TYPE'] ?? '?')
  const told = shownWords(
    [message?.['MESSAGE'], message?.['INFO']].filter(Boolean).join(': '),
    redactor([key]),
  )
  const words = told && `: ${told}`
  switch (type) {
    case '20':
      return ok(check, `${host} speaks WebSocket and takes the key`)
    case '401':
      return fail(check, `${host} refuses the key${words}`, 'Check CRYPTOCOMPARE_API_KEY.')
    case '429':
      return warn(
        check,
        `${host} is over its rate limit${words}`,
        'Wait a minute; a running platform uses the same key.',
      )
    default:
      return warn(
        check,
        `${host} began with a message of type ${type}${words}`,
        'Its protocol may have changed: please report it.',
      )
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

/** Opens a WebSocket. Gives its first message; undefined where it is open and says nothing, as Coinbase does. */
async function firstMessage(url: URL, signal: AbortSignal): Promise<string | undefined> {
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
    if (!url.searchParams.has('api_key')) return undefined
    return await within(message, signal)
  } finally {
    socket.terminate()
  }
}

/** Rejects when the step takes too long. */
function within<T>(step: Promise<T>, signal: AbortSignal): Promise<T> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(STEP_MS)])
  return untilAborted(step, deadline, () => new Error(`no answer within ${STEP_MS / 1000} s`))
}

function shown(error: unknown, key: string): string {
  return shownWords(error instanceof Error ? error.message : String(error), redactor([key]))
}
