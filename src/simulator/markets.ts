import { TapelineError } from '../errors.ts'

/** What is known of a coin or a currency. */
export interface Asset {
  /** Where its price path starts, in US dollars. */
  readonly usd: number
  /** How much its price moves: standard deviation of the logarithm in a day. */
  readonly dailyMove: number
  readonly supply: number
  /** -1 is unlimited, as on the wire. */
  readonly maxSupply: number
  /** What DISPLAY puts in front of amounts. */
  readonly sign: string
}

export const ASSETS: Readonly<Record<string, Asset>> = {
  BTC: { usd: 119_300, dailyMove: 0.022, supply: 19_950_000, maxSupply: 21_000_000, sign: 'Ƀ' },
  ETH: { usd: 3_710, dailyMove: 0.031, supply: 120_700_000, maxSupply: -1, sign: 'Ξ' },
  SOL: { usd: 186, dailyMove: 0.042, supply: 545_000_000, maxSupply: -1, sign: 'SOL' },
  XRP: { usd: 3.21, dailyMove: 0.038, supply: 59_400_000_000, maxSupply: 100_000_000_000, sign: 'XRP' },
  DOGE: { usd: 0.2415, dailyMove: 0.049, supply: 150_000_000_000, maxSupply: -1, sign: 'Ð' },
  LTC: { usd: 116.4, dailyMove: 0.033, supply: 76_200_000, maxSupply: 84_000_000, sign: 'Ł' },
  USDT: { usd: 1.0002, dailyMove: 0.0003, supply: 160_000_000_000, maxSupply: -1, sign: '₮' },
  EUR: { usd: 1.1718, dailyMove: 0.004, supply: 0, maxSupply: -1, sign: '€' },
  USD: { usd: 1, dailyMove: 0, supply: 0, maxSupply: -1, sign: '$' },
}

interface Pair {
  readonly priceDecimals: number
  readonly sizeDecimals: number
  /** How much it is traded, against other pairs. */
  readonly activity: number
  /** Half of its trades are smaller than this, in US dollars. */
  readonly medianUsd: number
}

const PAIRS: Readonly<Record<string, Pair>> = {
  'BTC-USD': { priceDecimals: 2, sizeDecimals: 8, activity: 30, medianUsd: 350 },
  'BTC-USDT': { priceDecimals: 2, sizeDecimals: 5, activity: 34, medianUsd: 300 },
  'BTC-EUR': { priceDecimals: 2, sizeDecimals: 8, activity: 7, medianUsd: 260 },
  'ETH-USD': { priceDecimals: 2, sizeDecimals: 8, activity: 22, medianUsd: 240 },
  'ETH-USDT': { priceDecimals: 2, sizeDecimals: 4, activity: 26, medianUsd: 220 },
  'ETH-EUR': { priceDecimals: 2, sizeDecimals: 8, activity: 3, medianUsd: 200 },
  'ETH-BTC': { priceDecimals: 5, sizeDecimals: 8, activity: 2, medianUsd: 400 },
  'SOL-USD': { priceDecimals: 2, sizeDecimals: 8, activity: 12, medianUsd: 180 },
  'SOL-USDT': { priceDecimals: 2, sizeDecimals: 3, activity: 14, medianUsd: 150 },
  'XRP-USD': { priceDecimals: 4, sizeDecimals: 6, activity: 10, medianUsd: 120 },
  'XRP-USDT': { priceDecimals: 4, sizeDecimals: 1, activity: 11, medianUsd: 110 },
  'DOGE-USD': { priceDecimals: 5, sizeDecimals: 1, activity: 6, medianUsd: 90 },
  'DOGE-USDT': { priceDecimals: 5, sizeDecimals: 0, activity: 7, medianUsd: 80 },
  'LTC-USD': { priceDecimals: 2, sizeDecimals: 8, activity: 0.4, medianUsd: 130 },
}

interface Exchange {
  readonly activity: number
  readonly spreadBps: number
  /** How far its prices lie from those of the others, as a factor. */
  readonly bias: number
  /** CCSEQ is present on some exchanges only. */
  readonly sequenced: boolean
  readonly pairs: readonly string[]
}

/** By the wire's spelling; ours is the same in lower case. CryptoCompare's simulator has these. */
const EXCHANGES: Readonly<Record<string, Exchange>> = {
  Coinbase: {
    activity: 1,
    spreadBps: 0.1,
    bias: 1,
    sequenced: true,
    pairs: 'BTC-USD ETH-USD SOL-USD XRP-USD DOGE-USD BTC-EUR ETH-BTC BTC-USDT LTC-USD'.split(' '),
  },
  Kraken: {
    activity: 0.35,
    spreadBps: 0.4,
    bias: 1.000_06,
    sequenced: false,
    pairs: 'BTC-USD ETH-USD BTC-EUR ETH-EUR SOL-USD XRP-USD ETH-BTC DOGE-USD'.split(' '),
  },
  Bitstamp: {
    activity: 0.12,
    spreadBps: 1.5,
    bias: 0.999_93,
    sequenced: false,
    pairs: 'BTC-USD ETH-USD BTC-EUR XRP-USD ETH-BTC LTC-USD'.split(' '),
  },
  Binance: {
    activity: 1.3,
    spreadBps: 0.05,
    bias: 0.999_98,
    sequenced: true,
    pairs: 'BTC-USDT ETH-USDT SOL-USDT XRP-USDT DOGE-USDT ETH-BTC BTC-EUR'.split(' '),
  },
}

const DOLLARS = 'BTC-USD ETH-USD SOL-USD XRP-USD DOGE-USD LTC-USD'.split(' ')
const TETHERS = 'BTC-USDT ETH-USDT SOL-USDT XRP-USDT DOGE-USDT ETH-BTC'.split(' ')

/** Exchanges that speak only their own protocols here. */
const FURTHER: Readonly<Record<string, Exchange>> = {
  OKX: { activity: 0.9, spreadBps: 0.1, bias: 0.999_99, sequenced: false, pairs: TETHERS },
  Bybit: { activity: 0.8, spreadBps: 0.1, bias: 1.000_01, sequenced: false, pairs: TETHERS },
  Bitfinex: { activity: 0.15, spreadBps: 0.8, bias: 1.000_04, sequenced: false, pairs: DOLLARS },
  Gemini: { activity: 0.1, spreadBps: 1.2, bias: 0.999_95, sequenced: false, pairs: DOLLARS },
}

/** One market that the simulator makes trades for. */
export interface SimulatedMarket {
  /** Our names: lower-case exchange, BASE-QUOTE. */
  readonly exchange: string
  readonly symbol: string
  /** The names on the wire. */
  readonly wireExchange: string
  readonly base: string
  readonly quote: string
  readonly priceDecimals: number
  readonly sizeDecimals: number
  readonly spreadBps: number
  readonly bias: number
  readonly sequenced: boolean
  readonly medianUsd: number
  /** Its share of all trades, before shares are made to add up to 1. */
  readonly weight: number
}

function listedMarkets(exchanges: Readonly<Record<string, Exchange>>): SimulatedMarket[] {
  return Object.entries(exchanges).flatMap(([wireExchange, exchange]) =>
    exchange.pairs.map((symbol) => {
      const pair = PAIRS[symbol] as Pair
      const [base, quote] = symbol.split('-') as [string, string]
      return {
        exchange: wireExchange.toLowerCase(),
        symbol,
        wireExchange,
        base,
        quote,
        priceDecimals: pair.priceDecimals,
        sizeDecimals: pair.sizeDecimals,
        spreadBps: exchange.spreadBps,
        bias: exchange.bias,
        sequenced: exchange.sequenced,
        medianUsd: pair.medianUsd,
        weight: exchange.activity * pair.activity,
      }
    }),
  )
}

/** All markets of the simulator, with our names (`exchange`, `symbol`) and the wire's: what `demo` subscribes to. */
export const DEFAULT_MARKETS: readonly SimulatedMarket[] = listedMarkets(EXCHANGES)

/** The markets of exchanges by their names. */
export function marketsOfExchanges(names: readonly string[]): readonly SimulatedMarket[] {
  return listedMarkets({ ...EXCHANGES, ...FURTHER }).filter(({ exchange }) => names.includes(exchange))
}

/**
 * The markets of these names (`coinbase:BTC-USD`), in the order of the list, so that the walk does not depend on the
 * order in which they are named. Raises CONFIG_INVALID for one that is not among these.
 */
export function chooseMarkets(
  names: readonly string[],
  among: readonly SimulatedMarket[] = DEFAULT_MARKETS,
): readonly SimulatedMarket[] {
  const known = new Set(among.map(marketName))
  const unknown = names.filter((name) => !known.has(name))
  if (unknown.length > 0 || names.length === 0) {
    throw new TapelineError(
      'CONFIG_INVALID',
      `the simulator has no market ${unknown.join(', ') || '(none named)'}`,
      {
        remedy: `It has ${[...known].join(', ')}.`,
      },
    )
  }
  return among.filter((market) => names.includes(marketName(market)))
}

function marketName(market: SimulatedMarket): string {
  return `${market.exchange}:${market.symbol}`
}
