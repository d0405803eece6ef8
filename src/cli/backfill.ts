import type { z } from 'zod'
import { TapelineError } from '../errors.ts'
import { backfillSchema } from '../gateway/schemas/market-data.ts'
import { PAST_CHANNELS } from '../ports/source.ts'
import { type ApiClient, requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, choiceFlag, expectWords } from './command.ts'
import { marketFlag } from './market-flag.ts'
import { timeFlag } from './time-flag.ts'

const HELP = `
Usage: tapeline backfill --market EXCHANGE:SYMBOL --from T [--to T] [--channel C] [--json]

Has the running platform publish the trades that a market had, from the history of the source that has it, the oldest
first. The database leaves out what it has, and streams do not get them: twice is the same as once. Gaps that it fills
are marked recovered. Ctrl-C ends it and says how to go on. It fails (exit code 1) where the source does not reach back
as far as asked for.

  --market M   such as kraken:BTC-USD; a source that is configured must have its past
  --from T     first event time: 7d, 2026-01-31, or 2026-01-31T12:00:00Z
  --to T       last event time, written as --from (default: now)
  --channel C  trade (default), or candle: the closed candles of a minute as the exchange says them, beside those that
               the platform computes from trades (GET /v1/candles with origin=source)
  --json       print what the API answers, one line a step
${TARGET_HELP}

Examples:
  tapeline backfill --market kraken:BTC-USD --from 2026-01-31 --to 2026-02-02
  tapeline backfill --market binance:BTC-USDT --from 24h
  tapeline backfill --market binance:BTC-USDT --from 7d --channel candle
`

/** A step does some seconds of work, and waits for the service and for what comes live. */
const STEP_MS = 130_000

export const command: Command = {
  name: 'backfill',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    market: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    channel: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const market = marketFlag(flags)
    const from = timeFlag(flags, 'from', 'first')
    if (market === undefined) throw new TapelineError('USAGE', '--market is missing')
    if (from === undefined) throw new TapelineError('USAGE', '--from is missing')
    const to = timeFlag(flags, 'to', 'last') ?? new Date().toISOString()
    const channel = choiceFlag(flags, 'channel', PAST_CHANNELS) ?? 'trade'
    const client = requirePlatform(flags)
    let count = 0
    let since = from
    for (let next: string | null = from; next !== null; ) {
      const at: string = next
      try {
        const step = await ask(client, { market, channel, from: at, to }, terminal.signal)
        if (at === from) since = step.since
        count += step[`${channel}s`]
        next = step.next
        if (flags['json']) terminal.print(JSON.stringify(step))
        else if (next !== null) terminal.note(`${market}: ${count} ${channel}s up to ${next}`)
      } catch (error) {
        terminal.note(
          `Go on with: tapeline backfill --market ${market} --channel ${channel} --from ${at} --to ${to}`,
        )
        throw error
      }
    }
    if (!flags['json']) terminal.print(`${market}: ${count} ${channel}s from ${since} to ${to}`)
    if (since <= from) return 0
    terminal.note(`The source does not reach back to ${from}: what was before ${since} is missing.`)
    return 1
  },
}

function ask(client: ApiClient, body: object, signal: AbortSignal): Promise<z.output<typeof backfillSchema>> {
  return client.call('/v1/backfill', backfillSchema, signal, { method: 'POST', body, timeoutMs: STEP_MS })
}
