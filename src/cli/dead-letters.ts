import type { z } from 'zod'
import { TapelineError } from '../errors.ts'
import { deadLetterContentSchema, deadLettersSchema, replayResultsSchema } from '../gateway/schemas/topics.ts'
import { type ApiClient, requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import {
  type Command,
  choiceFlag,
  countFlag,
  expectWords,
  type Flags,
  type Terminal,
  textFlag,
} from './command.ts'
import { runSubcommand } from './subcommand.ts'
import { plainText, printTable } from './table.ts'
import { timeFlag } from './time-flag.ts'

const HELP = `
Usage: tapeline dead-letters [list] [--topic T] [--code C] [--since T] [--state S] [--limit N] [--json]
       tapeline dead-letters show ID [--json]
       tapeline dead-letters replay ID [ID ...] [--json]
       tapeline dead-letters replay --all [--topic T] [--code C] [--since T] [--limit N] [--json]

Records that could not be stored: lists the newest of them, shows what one held, and has them enter again
once the cause is cured. An ID is topic:partition:offset of the refused record. A replay may be asked for
as often as you like: a row is never stored twice. It fails (exit code 1) unless every letter was replayed.

  --topic T    only those of a topic, such as market.trades
  --code C     only those refused for this reason, such as EVENT_INVALID
  --since T    only those refused since then: 30m, 1d, 2026-01-31, or 2026-01-31T12:00:00Z
  --state S    open (never replayed), replayed or all (default: all)
  --limit N    at most so many (list: 100 by default)
  --all        replay all that were never replayed, the oldest first
  --json       print what the API answers; for replay one line a result
${TARGET_HELP}

Examples:
  tapeline dead-letters --since 1d
  tapeline dead-letters show market.trades:2:48151
  tapeline dead-letters replay market.trades:2:48151
  tapeline dead-letters replay --all --code EVENT_INVALID
`

export const command: Command = {
  name: 'dead-letters',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    topic: { type: 'string' },
    code: { type: 'string' },
    since: { type: 'string' },
    state: { type: 'string' },
    limit: { type: 'string' },
    all: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  subcommands: ['list', 'show', 'replay'],
  run: (flags, words, terminal) => runSubcommand({ list, show, replay }, 'list', flags, words, terminal),
}

type Page = z.output<typeof deadLettersSchema>
type ReplayResult = z.output<typeof replayResultsSchema>['results'][number]

/** As many as one request shows, and replays: few enough that progress is seen. */
const SHOWN_AT_ONCE = 1_000
const REPLAYED_AT_ONCE = 100
/** A replay waits for producers. */
const REPLAY_MS = 75_000

async function list(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, '', 0)
  refuseFlags(flags, ['all'], 'goes with replay')
  const state = choiceFlag(flags, 'state', ['open', 'replayed', 'all']) ?? 'all'
  const limit = countFlag(flags, 'limit', 1) ?? 100
  const query = { ...filtersOf(flags), state }
  const answer = await pagesOf(requirePlatform(flags), query, limit, terminal.signal)
  if (flags['json']) {
    terminal.print(JSON.stringify(answer))
    return 0
  }
  const { deadLetters, total } = answer
  if (deadLetters.length === 0) terminal.note('There are no such dead letters.')
  else await printLetters(terminal, deadLetters)
  if (total > deadLetters.length) terminal.note(`These are the newest ${deadLetters.length} of ${total}.`)
  return 0
}

async function show(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, 'the ID of a dead letter', 1)
  refuseFlags(flags, ['all', 'topic', 'code', 'since', 'state', 'limit'], 'does not go with show')
  const path = `/v1/dead-letters/${encodeURIComponent(words[0] ?? '')}`
  const letter = await requirePlatform(flags).call(path, deadLetterContentSchema, terminal.signal)
  terminal.print(flags['json'] ? JSON.stringify(letter) : linesOf(letter))
  return 0
}

async function replay(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  refuseFlags(flags, ['state'], 'does not go with replay')
  const results = flags['all']
    ? replayMatching(flags, words, terminal.signal)
    : replayGiven(flags, words, terminal.signal)
  const counts = new Map<ReplayResult['outcome'], number>()
  for await (const batch of results) {
    for (const result of batch) {
      counts.set(result.outcome, (counts.get(result.outcome) ?? 0) + 1)
      if (flags['json']) terminal.print(JSON.stringify(result))
      else if (result.outcome !== 'replayed') terminal.print(failureOf(result))
    }
    terminal.note(summaryOf(counts))
  }
  if (counts.size === 0) terminal.note('There is nothing to replay.')
  return [...counts.keys()].every((outcome) => outcome === 'replayed') ? 0 : 1
}

/** Replays the letters that the words name, some at once. */
async function* replayGiven(
  flags: Flags,
  ids: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<readonly ReplayResult[]> {
  expectWords(ids, 'the ID of a dead letter, or --all,', 1, Number.POSITIVE_INFINITY)
  refuseFlags(flags, ['topic', 'code', 'since', 'limit'], 'goes with --all')
  const client = requirePlatform(flags)
  for (let i = 0; i < ids.length; i += REPLAYED_AT_ONCE) {
    const { results } = await ask(client, { ids: ids.slice(i, i + REPLAYED_AT_ONCE) }, signal)
    yield results
  }
}

/** Replays what fits the flags, some at once. */
async function* replayMatching(
  flags: Flags,
  words: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<readonly ReplayResult[]> {
  expectWords(words, '', 0)
  const filters = filtersOf(flags)
  let left = countFlag(flags, 'limit', 1) ?? Number.POSITIVE_INFINITY
  const client = requirePlatform(flags)
  let from: number | null = 0
  while (from !== null && left > 0) {
    const limit = Math.min(left, REPLAYED_AT_ONCE)
    const answer: z.output<typeof replayResultsSchema> = await ask(
      client,
      { all: true, ...filters, limit, from },
      signal,
    )
    if (answer.results.length > 0) yield answer.results
    left -= answer.results.length
    from = answer.next
  }
}

function ask(
  client: ApiClient,
  body: object,
  signal: AbortSignal,
): Promise<z.output<typeof replayResultsSchema>> {
  const options = { method: 'POST', body, timeoutMs: REPLAY_MS } as const
  return client.call('/v1/dead-letters/replay', replayResultsSchema, signal, options)
}

/** As many of the newest letters as asked for, in pages. */
async function pagesOf(
  client: ApiClient,
  query: Readonly<Record<string, string>>,
  limit: number,
  signal: AbortSignal,
): Promise<Page> {
  const letters: Page['deadLetters'][number][] = []
  for (let before: number | null | undefined; ; ) {
    const size = Math.min(SHOWN_AT_ONCE, limit - letters.length)
    const place: Record<string, string> = before === undefined ? {} : { before: String(before) }
    const search = new URLSearchParams({ ...query, ...place, limit: String(size) })
    const page = await client.call(`/v1/dead-letters?${search}`, deadLettersSchema, signal)
    letters.push(...page.deadLetters)
    before = page.next
    if (before === null || letters.length >= limit) return { ...page, deadLetters: letters }
  }
}

/** Topic, code and time as the API takes them. Raises USAGE. */
function filtersOf(flags: Flags): Record<string, string> {
  const [topic, code] = [textFlag(flags, 'topic'), textFlag(flags, 'code')]
  const since = timeFlag(flags, 'since', 'first')
  return {
    ...(topic !== undefined && { topic }),
    ...(code !== undefined && { code }),
    ...(since !== undefined && { since }),
  }
}

function refuseFlags(flags: Flags, names: readonly string[], why: string): void {
  const given = names.find((name) => flags[name] !== undefined)
  if (given !== undefined) throw new TapelineError('USAGE', `--${given} ${why}`)
}

async function printLetters(terminal: Terminal, letters: Page['deadLetters']): Promise<void> {
  const rows = letters.map(({ id, code, refusedAt, size, replayedAt, reason }) => [
    ...[id, code, refusedAt, String(size), replayedAt === null ? 'open' : 'replayed', reason],
  ])
  const columns = ['ID', 'CODE', 'REFUSED', 'BYTES', 'STATE', 'REASON']
  await printTable(terminal, columns, rows, (row) => row, { hasIds: true })
}

function linesOf(letter: z.output<typeof deadLetterContentSchema>): string {
  const { id, code, reason, fields, key, version, publishedAt, refusedAt, replayedAt } = letter
  const { size, encoding, complete, value } = letter
  const facts = {
    id,
    refused: `${refusedAt}, ${code}: ${reason}`,
    ...Object.fromEntries(fields.map(({ field, message }) => [`  ${field}`, message])),
    published: publishedAt,
    replayed: replayedAt ?? 'never',
    key: key ?? 'none',
    'schema version': String(version),
    value: `${size} bytes${complete ? '' : ', of which the first are kept'}${encoding === 'base64' ? ', here in base64' : ''}`,
  }
  const lines = Object.entries(facts).map(([name, text]) => `${name.padEnd(14)} ${plainText(text)}`)
  return [...lines, '', ...value.split('\n').map(plainText)].join('\n')
}

function failureOf({ id, outcome, code, reason }: ReplayResult): string {
  return plainText([id, outcome, code, reason].filter((part) => part !== undefined).join('  '))
}

function summaryOf(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ')
}
