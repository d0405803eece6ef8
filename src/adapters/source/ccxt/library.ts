import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { didYouMean } from '../../../domain/near.ts'
import { TapelineError } from '../../../errors.ts'

/** A market as ccxt has it. */
export interface CcxtMarket {
  readonly id: string
  /** BASE/QUOTE, and more where it is no spot market. */
  readonly symbol: string
  readonly base: string
  readonly quote: string
  readonly active?: boolean | undefined
  readonly precision?: { readonly price?: unknown; readonly amount?: unknown }
}

export interface CcxtTrade {
  readonly id?: string | undefined
  /** Milliseconds. */
  readonly timestamp?: number | undefined
  readonly side?: string | undefined
  readonly price?: number | undefined
  readonly amount?: number | undefined
}

export interface CcxtTicker {
  readonly timestamp?: number | undefined
  readonly bid?: number | undefined
  readonly bidVolume?: number | undefined
  readonly ask?: number | undefined
  readonly askVolume?: number | undefined
  readonly last?: number | undefined
  readonly baseVolume?: number | undefined
}

export interface CcxtBook {
  readonly timestamp?: number | undefined
  /** Price and size first. */
  readonly bids: readonly (readonly number[])[]
  readonly asks: readonly (readonly number[])[]
}

/** What we use of an exchange of ccxt.pro. Source: https://docs.ccxt.com/#/ccxt.pro.manual */
export interface CcxtExchange {
  readonly has: Readonly<Record<string, unknown>>
  urls: { api?: unknown }
  markets: Readonly<Record<string, CcxtMarket>> | undefined
  currencies: unknown
  readonly precisionMode: number
  readonly clients: Readonly<Record<string, { readonly connection?: { readonly readyState?: number } }>>
  handleMessage(client: unknown, message: unknown): unknown
  loadHttpProxyAgent(): Promise<unknown>
  loadMarkets(): Promise<unknown>
  setMarkets(markets: unknown, currencies: unknown): unknown
  watchTrades(symbol: string): Promise<readonly CcxtTrade[]>
  watchTicker(symbol: string): Promise<CcxtTicker>
  watchBidsAsks?(symbols: readonly string[]): Promise<Readonly<Record<string, CcxtTicker>>>
  watchOrderBook(symbol: string, limit?: number): Promise<CcxtBook>
  close(): Promise<unknown>
}

/** The package: beside what stands here it has a class for each kind of error. */
export interface CcxtLibrary {
  readonly pro: Readonly<Record<string, new (settings: object) => CcxtExchange>>
}

/** Loads ccxt. It is looked for beside this package, then in the folder where the process was started. Raises SOURCE_LIBRARY_MISSING. */
export async function loadCcxt(folder = process.cwd()): Promise<CcxtLibrary> {
  const found = (await imported('ccxt')) ?? (await imported(resolvedFrom(folder)))
  if (found === undefined)
    throw new TapelineError(
      'SOURCE_LIBRARY_MISSING',
      'the source ccxt needs the package ccxt, which is not installed',
    )
  const { default: library = found } = found as { default?: unknown }
  return library as CcxtLibrary
}

async function imported(specifier: string | undefined): Promise<unknown> {
  if (specifier === undefined) return undefined
  try {
    return await import(specifier)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

function resolvedFrom(folder: string): string | undefined {
  try {
    return pathToFileURL(createRequire(join(folder, 'start.js')).resolve('ccxt')).href
  } catch {
    return undefined
  }
}

/** Makes an exchange, at other addresses where these are given. Raises CONFIG_INVALID where ccxt does not stream it. */
export function makeExchange(
  { pro }: CcxtLibrary,
  name: string,
  { url, restUrl }: { readonly url?: string | undefined; readonly restUrl?: string | undefined },
): CcxtExchange {
  const Exchange = Object.hasOwn(pro, name) ? pro[name] : undefined
  if (typeof Exchange !== 'function') {
    const names = Object.keys(pro).filter((each) => typeof pro[each] === 'function')
    throw new TapelineError('CONFIG_INVALID', `ccxt streams no exchange ${name}${didYouMean(name, names)}`, {
      remedy: 'Set source.exchange to an id of https://github.com/ccxt/ccxt/wiki/ccxt.pro#exchanges.',
    })
  }
  // What is new since the last call, not all that is kept. It would print what it cannot read, which is counted.
  const exchange = new Exchange({ newUpdates: true, enableRateLimit: true, log: () => undefined })
  const { api } = exchange.urls
  if (typeof api === 'object' && api !== null) {
    const { ws, ...rest } = api as Record<string, unknown>
    exchange.urls.api = { ...(replaced(rest, restUrl) as object), ws: replaced(ws, url) }
  }
  return exchange
}

/** The same tree with another address in each place. */
function replaced(tree: unknown, address: string | undefined): unknown {
  if (address === undefined) return tree
  if (typeof tree === 'string') return address
  if (typeof tree !== 'object' || tree === null) return tree
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, replaced(value, address)]))
}

/** Whether an error of ccxt is of a class, or of one that is made of it. */
export function isOf(library: CcxtLibrary, error: unknown, ...classes: readonly string[]): boolean {
  const found = library as unknown as Readonly<Record<string, unknown>>
  return classes.some((name) => {
    const made = found[name]
    return typeof made === 'function' && error instanceof made
  })
}
