import { z } from 'zod'
import { type ErrorCode, TapelineError } from '../../../errors.ts'
import { callRest, restUrl, retryAfterMs } from '../feed/rest-call.ts'
import { parseJson } from '../feed/text.ts'
import { refusalByStatus, refusalInWords, shownWords, wordsOfBody } from '../feed/words.ts'
import { historyRowSchema } from './candles.ts'
import { tickerSchema } from './tickers.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60_000

const windowsSchema = z.object({
  second: z.number().optional(),
  minute: z.number().optional(),
})

/** Errors that come as HTTP 200. */
const errorSchema = z.object({
  Response: z.literal('Error'),
  Message: z.string().catch(''),
  Type: z.number().catch(0),
  RateLimit: z
    .object({ calls_made: windowsSchema.optional(), max_calls: windowsSchema.optional() })
    .optional()
    .catch(undefined),
})

/** How the service says that it does not have a market. */
const SPEAKS_OF_MARKET = /\b(market|pair|coin|symbol|exchange)s?\b/i

/** Errors that come with a real status. */
const errSchema = z.object({
  Err: z.object({ message: z.string(), http_status_code: z.number().optional() }),
})

/** One market that cannot be read does not cost the others. */
const pricesSchema = z.object({
  RAW: z.record(z.string(), z.record(z.string(), tickerSchema.optional().catch(undefined)).catch({})),
})

const historySchema = z.object({
  Response: z.literal('Success'),
  Data: z.object({ Data: z.array(historyRowSchema) }),
})

const exchangesSchema = z.object({ Data: z.object({ exchanges: z.record(z.string(), z.unknown()) }) })

export type Prices = z.infer<typeof pricesSchema>['RAW']
export type HistoryRow = z.infer<typeof historyRowSchema>

interface RestClientOptions {
  readonly address: URL
  readonly apiKey: string | undefined
  /** How long one call may take. */
  readonly timeoutMs: number
  /** Takes the key out of a text that the service sent. */
  readonly redact: (text: string) => string
}

/**
 * The REST calls that the fallback needs, and the names of exchanges. The key travels in a header only.
 *
 * Raises SOURCE_RATE_LIMITED (and refuses further calls until the limit is over), SOURCE_UNAUTHORIZED, MARKET_UNKNOWN, and
 * SOURCE_UNAVAILABLE for everything else: no answer, an HTTP error, an answer that cannot be read.
 */
export class RestClient {
  readonly #options: RestClientOptions
  #pausedUntil = 0

  constructor(options: RestClientOptions) {
    this.#options = options
  }

  /** Milliseconds until calls are allowed again. */
  get pausedMs(): number {
    return Math.max(0, this.#pausedUntil - performance.now())
  }

  /** The tickers of all bases in all quotes, of one exchange or of the aggregate (CCCAGG). */
  async prices(
    exchange: string,
    bases: readonly string[],
    quotes: readonly string[],
    signal: AbortSignal,
  ): Promise<Prices> {
    const query = { fsyms: bases.join(','), tsyms: quotes.join(','), e: exchange, tryConversion: 'false' }
    return (await this.#get('/data/pricemultifull', query, pricesSchema, signal)).RAW
  }

  /** `limit + 1` minutes of a market, oldest first: up to the one that begins at `to` (seconds), or else the last, which may still be forming. */
  async minutes(
    [exchange, base, quote]: readonly [exchange: string, base: string, quote: string],
    { limit, to }: { readonly limit: number; readonly to?: number },
    signal: AbortSignal,
  ): Promise<readonly HistoryRow[]> {
    const market = { fsym: base, tsym: quote, e: exchange, tryConversion: 'false' }
    const query = { ...market, limit: String(limit), ...(to !== undefined && { toTs: String(to) }) }
    return (await this.#get('/data/v2/histominute', query, historySchema, signal)).Data.Data
  }

  /** The names of all exchanges that have bitcoin, which keeps the answer small. */
  async exchanges(signal: AbortSignal): Promise<readonly string[]> {
    const { Data } = await this.#get('/data/v4/all/exchanges', { fsym: 'BTC' }, exchangesSchema, signal)
    return Object.keys(Data.exchanges)
  }

  async #get<T>(
    path: string,
    query: Readonly<Record<string, string>>,
    schema: z.ZodType<T>,
    signal: AbortSignal,
  ): Promise<T> {
    if (this.pausedMs > 0) throw failure('SOURCE_RATE_LIMITED', 'waiting for the rate limit to end')
    const { response, body, text } = await this.#fetch(path, query, signal)
    this.#heed(response.headers)
    this.#refuseErrors(response, body, text)
    const parsed = schema.safeParse(body)
    if (!parsed.success) {
      const words = shownWords(wordsOfBody(text), this.#options.redact)
      throw refusalInWords('rest', `the answer of ${path} cannot be read${words && `: ${words}`}`)
    }
    return parsed.data
  }

  async #fetch(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal) {
    const { address, apiKey, timeoutMs } = this.#options
    const headers = apiKey === undefined ? {} : { authorization: `Apikey ${apiKey}` }
    const call = { way: 'rest', timeoutMs, headers }
    const { response, text } = await callRest(restUrl(address, path, query), call, signal)
    const body = parseJson(text)
    if (body === undefined && response.ok) throw failure('SOURCE_UNAVAILABLE', 'the answer is not JSON')
    return { response, text, body }
  }

  /**
   * Errors come with a status, or as HTTP 200. Type 1 says that something asked for is not there, in words: only those that speak
   * of the market accuse it.
   */
  #refuseErrors(response: Response, body: unknown, text: string): void {
    const told = errorSchema.safeParse(body).data
    const err = errSchema.safeParse(body).data?.Err
    if (!told && !err && response.ok) return
    const status = err?.http_status_code ?? response.status
    const words = shownWords(told?.Message || err?.message || wordsOfBody(text), this.#options.redact)
    if (told?.Type === 99) this.#pause(limitMs(told))
    if (status === 429) this.#pause(retryAfterMs(response.headers))
    if (told?.Type === 99) throw failure('SOURCE_RATE_LIMITED', words)
    if (status !== 200) throw refusalByStatus('rest', status, words)
    const error = refusalInWords('rest', words || 'an error without a reason')
    const isOfMarket = told?.Type === 1 && error.code === 'SOURCE_UNAVAILABLE' && SPEAKS_OF_MARKET.test(words)
    throw isOfMarket ? failure('MARKET_UNKNOWN', words) : error
  }

  /** Stops before the limit is hit, where the headers say that a window is used up. */
  #heed(headers: Headers): void {
    const remaining = windowsOf(headers.get('x-ratelimit-remaining-all'))
    const reset = windowsOf(headers.get('x-ratelimit-reset-all'))
    for (const [window, calls] of remaining) {
      if (calls <= 0) this.#pause(Math.min((reset.get(window) ?? window) * SECOND_MS, MINUTE_MS))
    }
  }

  #pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + ms)
  }
}

/** How long a used-up limit lasts: a second, or a minute for every longer window, since asking once a minute costs nothing. */
function limitMs({ RateLimit }: z.infer<typeof errorSchema>): number {
  const made = RateLimit?.calls_made
  const most = RateLimit?.max_calls
  const secondUsed = (made?.second ?? 0) >= (most?.second ?? Number.POSITIVE_INFINITY)
  return secondUsed && (made?.minute ?? 0) < (most?.minute ?? 0) ? SECOND_MS : MINUTE_MS
}

/** Reads `"1220397, 1;window=1, 33;window=60"`: calls (or seconds) by the length of the window in seconds. */
function windowsOf(header: string | null): ReadonlyMap<number, number> {
  const entries = [...(header ?? '').matchAll(/(\d+)\s*;\s*window=(\d+)/g)]
  return new Map(entries.map(([, value, window]) => [Number(window), Number(value)]))
}

function failure(code: ErrorCode, message: string): TapelineError {
  return new TapelineError(code, `rest: ${message}`)
}
