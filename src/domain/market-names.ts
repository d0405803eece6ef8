import { z } from 'zod'

/**
 * The one rule for the names of markets, whether a source delivers them, a configuration has them, or a stream or query asks for them. A query
 * can ask for all that is stored, since nothing else is stored.
 *
 * A symbol has 1 to 64 characters: letters and digits of any script, and the signs that exchanges use. Neither `*`, which
 * makes a glob, nor white space, commas, quotes and characters that nobody sees.
 */
const SYMBOL_CHARACTERS = String.raw`\p{L}\p{M}\p{N}$+!._/:@#&~-`

const SYMBOL = new RegExp(`^(?=.*[\\p{L}\\p{N}])[${SYMBOL_CHARACTERS}]{1,64}$`, 'u')
const GLOB = new RegExp(`^[*${SYMBOL_CHARACTERS}]{1,64}$`, 'u')
const EXCHANGE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/

/** A symbol in upper case; undefined where the text is none. */
export function canonicalSymbol(text: string): string | undefined {
  return SYMBOL.test(text) ? upperCase(text) : undefined
}

/** A symbol or a glob in upper case, without repeated `*`; undefined where the text is neither. */
function canonicalGlob(text: string): string | undefined {
  if (!text.includes('*')) return canonicalSymbol(text)
  return GLOB.test(text) ? upperCase(text.replace(/\*+/g, '*')) : undefined
}

/** The name of an exchange in lower case; undefined where the text is none. */
function canonicalExchange(text: string): string | undefined {
  return EXCHANGE.test(text) ? text.toLowerCase() : undefined
}

interface MarketName {
  readonly exchange: string
  readonly symbol: string
}

/** A market written EXCHANGE:SYMBOL; undefined where the text is none. */
export function parseMarket(text: string): MarketName | undefined {
  return parseName(text, canonicalSymbol)
}

/** The same, or all markets of an exchange that a glob matches: EXCHANGE:*-USDT. */
export function parseMarkets(text: string): MarketName | undefined {
  return parseName(text, canonicalGlob)
}

function parseName(text: string, canonical: (text: string) => string | undefined): MarketName | undefined {
  const colon = text.indexOf(':')
  const exchange = canonicalExchange(text.slice(0, Math.max(0, colon)))
  const symbol = canonical(text.slice(colon + 1))
  return exchange !== undefined && symbol !== undefined ? { exchange, symbol } : undefined
}

/**
 * Refuses letters that are others in upper case (ß is SS, ı is I, ſ is S): two markets would become one.
 */
function upperCase(text: string): string | undefined {
  const upper = text.toUpperCase()
  return upper.toLowerCase() === text.toLowerCase() ? upper : undefined
}

/** A name as zod reads it: canonical, or an issue with these words. */
const name = (pattern: RegExp, canonical: (text: string) => string | undefined, otherwise: string) =>
  z
    .string()
    .regex(pattern, otherwise)
    .transform((text, context) => {
      const found = canonical(text)
      if (found === undefined) context.addIssue(otherwise)
      return found ?? z.NEVER
    })

export const symbolSchema = name(SYMBOL, canonicalSymbol, 'is not a symbol such as BTC-USD')
export const globSchema = name(GLOB, canonicalGlob, 'is not a symbol or a glob such as BTC-USD or BTC-*')
export const exchangeSchema = name(
  EXCHANGE,
  canonicalExchange,
  'is not the name of an exchange such as coinbase',
)
