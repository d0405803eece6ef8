import { z } from 'zod'
import { platformNames } from '../control/names.ts'
import { outputChannel } from '../domain/stream-spec.ts'
import { summaryOf } from '../gateway/routes/topics.ts'
import { streamSchema, streamsSchema } from '../gateway/schemas/streams.ts'
import { topicsSchema } from '../gateway/schemas/topics.ts'
import { openLogAlone } from '../topology/engines.ts'
import {
  type ApiClient,
  requirePlatform,
  TARGET_HELP,
  TARGET_OPTIONS,
  targetConfig,
  throughPlatformOr,
} from './api-client.ts'
import { type Command, expectWords, type Flags, type Terminal, textFlag } from './command.ts'
import { deleteEach } from './delete-each.ts'
import { invocation } from './invocation.ts'
import { openLog } from './platform-flags.ts'
import { REQUEST_OPTIONS, requestOf } from './stream-request.ts'
import { warningLines } from './stream-warnings.ts'
import { runSubcommand } from './subcommand.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline streams [list] [--json]
       tapeline streams create --channel C --symbols S[,S] [--exchanges E[,E]] [--where W] [--fields F[,F]]
                               [--every T | --interval I] [--depth N] [--lateness T] [--empty] [--from T]
                               [--ttl T] [--json]
       tapeline streams create '{"channel": ..., "symbols": [...]}' [--json]
       tapeline streams show ID [--json]
       tapeline streams modify ID [--channel C] [--symbols S] [--exchanges E] [--where W] [--fields F]
                               [--every T | --interval I] [--depth N] [--lateness T] [--empty] [--ttl T]
                               [--json]
       tapeline streams modify ID '{"where": ...}' [--json]
       tapeline streams delete ID [ID ...] [--json]
       tapeline streams topics [--all | --unknown | --remove NAME] [--json]

Asks the running platform for streams, lists, moves and ends them. A stream is a lease on a topic; equal
requests share one topic. modify moves a stream to another request: what is given takes the place of what
there is, an empty text removes it, and whoever reads goes on without a hole or a repeat. topics lists the
dynamic topics of the broker, also while no platform runs.

  --channel C      trade, quote, candle, book or status
  --symbols S      symbols or globs with commas: BTC-USD, BTC-*, *
  --exchanges E    exchanges with commas, such as coinbase,kraken (default: all)
  --where W        only events for which this is true: 'size >= 0.5 && side == "buy"'
  --fields F       only these fields of an event, with commas; exchange, symbol and ts always come
  --every T        only the latest event of each market in each period of this length: 250ms, 1s
  --depth N        of books, with --every: the best N levels of each side in place of the changes
  --interval I     candles of this length, made of trades: 1s, 5s, 10s, 15s, 30s, 1m, 5m, 15m, 1h, 4h, 1d
  --lateness T     how long --every or --interval wait for late events (default: 250ms, 2s)
  --empty          with --interval: periods without trades have candles too
  --from T         where it begins: 10m (ago), a time, earliest (default: live)
  --ttl T          how long it lives without a reader: 90s, 30m, 1h; 0 until deleted (default: 1h)
  --all            the fixed and the internal topics as well
  --unknown        only those that look like the platform's and belong to no stream; it leaves them alone
  --remove NAME    removes one of these
  --json           print what the API answers
${TARGET_HELP}

Examples:
  tapeline streams create --channel trade --symbols 'BTC-*'
  tapeline streams create '{"channel": "quote", "symbols": ["ETH-USD"], "exchanges": ["coinbase"]}'
  tapeline streams
  tapeline streams modify 01KB3T5W4H5D8Z7Q2M9N6P1R0S --where 'size >= 2'
  tapeline streams delete 01KB3T5W4H5D8Z7Q2M9N6P1R0S
`

type Stream = z.output<typeof streamSchema>

const READS_NOW_MS = 5_000

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

export const command: Command = {
  name: 'streams',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    ...REQUEST_OPTIONS,
    all: { type: 'boolean' },
    unknown: { type: 'boolean' },
    remove: { type: 'string' },
    json: { type: 'boolean' },
  },
  subcommands: ['list', 'create', 'show', 'modify', 'delete', 'topics'],
  run: (flags, words, terminal) =>
    runSubcommand({ list, create, show, modify, delete: remove, topics }, 'list', flags, words, terminal),
}

async function list(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, '', 0)
  const answer = await requirePlatform(flags).call('/v1/streams', streamsSchema, terminal.signal)
  if (flags['json']) terminal.print(JSON.stringify(answer))
  else if (answer.streams.length > 0) await printStreams(terminal, answer.streams)
  else terminal.note(`There are no streams. ${exampleOf(flags)}`)
  return 0
}

async function create(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, '', 0, 1)
  const body = requestOf(flags, words[0])
  const stream = await requirePlatform(flags).call('/v1/streams', streamSchema, terminal.signal, {
    method: 'POST',
    body,
  })
  tell(stream, flags, terminal, ` Read it:\n  ${invocation(['tail', stream.id], flags)}`)
  return 0
}

/** Says what a request has come to, and what may be done now. */
function tell(stream: Stream, flags: Flags, terminal: Terminal, next = ''): void {
  if (flags['json']) {
    terminal.print(JSON.stringify(stream))
    return
  }
  terminal.print(stream.id)
  for (const line of warningLines(stream.warnings)) terminal.note(`Warning: ${line}`)
  terminal.note(`${describe(stream)}, in the topic ${stream.topic}.${next}`)
}

async function show(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, 'the ID of a stream', 1)
  const [id = ''] = words
  const stream = await requirePlatform(flags).call(pathOf(id), streamSchema, terminal.signal)
  terminal.print(flags['json'] ? JSON.stringify(stream) : linesOf(stream))
  return 0
}

async function modify(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, 'the ID of a stream', 1, 2)
  const [id = '', change] = words
  const body = changeOf(requestOf(flags, change))
  const stream = await requirePlatform(flags).call(pathOf(id), streamSchema, terminal.signal, {
    method: 'PATCH',
    body,
  })
  tell(stream, flags, terminal)
  return 0
}

/** A change as the API takes it: of what the flags give, an empty text removes. */
function changeOf(request: unknown): unknown {
  if (typeof request !== 'object' || request === null || Array.isArray(request)) return request
  const isEmpty = (value: unknown): boolean => value === '' || (Array.isArray(value) && value.length === 0)
  return Object.fromEntries(
    Object.entries(request).map(([name, value]) => [name, isEmpty(value) ? null : value]),
  )
}

function remove(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  const names = { route: '/v1/streams', what: 'stream', done: 'has ended', key: 'deleted' }
  return deleteEach(names, flags, words, terminal)
}

const ONLY_WHILE_RUNNING = 'only a running one knows which topics belong to no stream'

async function topics(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, '', 0)
  const unwanted = textFlag(flags, 'remove')
  if (unwanted !== undefined) return removeTopic(flags, unwanted, terminal)
  const path = `/v1/topics${flags['unknown'] ? '?unknown=true' : flags['all'] ? '?all=true' : ''}`
  const ask = (client: ApiClient) => client.call(path, topicsSchema, terminal.signal)
  const answer = flags['unknown']
    ? await ask(requirePlatform(flags, 'gateway', ONLY_WHILE_RUNNING))
    : await throughPlatformOr(flags, ask, () => listTopics(flags, terminal.signal))
  if (flags['json']) {
    terminal.print(JSON.stringify(answer))
    return 0
  }
  const rows = answer.topics.map(({ name, partitions, earliest, end, compacted, retentionMs }) => {
    const kept = compacted ? 'last of each key' : retentionMs === undefined ? 'for ever' : ageOf(retentionMs)
    return [name, String(partitions), String(earliest), String(end), kept]
  })
  if (rows.length > 0)
    await printTable(terminal, ['TOPIC', 'PARTITIONS', 'EARLIEST', 'END', 'KEPT'], rows, (row) => row, {
      hasIds: true,
    })
  else if (flags['unknown']) terminal.note('Every dynamic topic belongs to a stream.')
  else terminal.note(`There are no dynamic topics. ${exampleOf(flags)}`)
  return 0
}

async function removeTopic(flags: Flags, name: string, terminal: Terminal): Promise<number> {
  const path = `/v1/topics/${encodeURIComponent(name)}`
  const client = requirePlatform(flags, 'gateway', ONLY_WHILE_RUNNING)
  await client.call(path, z.undefined(), terminal.signal, { method: 'DELETE' })
  terminal.print(flags['json'] ? JSON.stringify({ removed: name }) : `${name} is removed`)
  return 0
}

/** The topics of the configured broker or of the data folder, in the form of the API. */
async function listTopics(flags: Flags, signal: AbortSignal): Promise<z.output<typeof topicsSchema>> {
  const config = targetConfig(flags)
  const { reader, close } = await openLogAlone(config, openLog(config.log.level), signal)
  try {
    const topics = await reader.listTopics(flags['all'] ? '' : platformNames(config.topics).dynamic, signal)
    return { topics: topics.map(summaryOf) }
  } finally {
    await close()
  }
}

function exampleOf(flags: Flags): string {
  return `Ask for one:\n  ${invocation(['streams', 'create', '--channel', 'trade', '--symbols', 'BTC-*'], flags)}`
}

function describe({ spec }: Stream): string {
  const { symbols, exchanges, where, fields, every, interval, lateness, empty, depth } = spec
  const markets = `${symbols.join(', ')} on ${exchanges.length > 0 ? exchanges.join(', ') : 'all exchanges'}`
  return [
    `${outputChannel(spec)} of ${markets}`,
    ...(where === undefined ? [] : [`where ${where}`]),
    ...(fields === undefined ? [] : [`with ${fields.join(', ')} only`]),
    ...(every === undefined
      ? []
      : [`the ${depth === undefined ? 'latest' : `best ${depth} levels`} every ${every}`]),
    ...(interval === undefined ? [] : [`of ${interval}, made of trades${empty ? ', empty ones too' : ''}`]),
    ...(lateness === undefined ? [] : [`${lateness} late`]),
  ].join(', ')
}

async function printStreams(terminal: Terminal, streams: readonly Stream[]): Promise<void> {
  const now = Date.now()
  const rows = streams.map(({ id, app, topic, spec, ttl, standing, lastReadAt }) => [
    id,
    outputChannel(spec),
    spec.symbols.join(','),
    spec.exchanges.join(',') || '*',
    topic,
    app,
    standing ? 'standing' : ttl === 0 ? 'until deleted' : ageOf(ttl * 1000),
    lastReadAt === null ? 'never' : agoOf(now - Date.parse(lastReadAt)),
  ])
  const columns = ['STREAM', 'CHANNEL', 'SYMBOLS', 'EXCHANGES', 'TOPIC', 'APPLICATION', 'TTL', 'LAST READ']
  await printTable(terminal, columns, rows, (row) => row, { hasIds: true })
}

function linesOf(stream: Stream): string {
  const { id, app, topic, ttl, createdAt, lastReadAt, standing, websocket } = stream
  const fields = {
    stream: id,
    events: describe(stream),
    topic,
    application: app,
    'time to live': standing
      ? 'standing'
      : ttl === 0
        ? 'until deleted'
        : `${ageOf(ttl * 1000)} without a reader`,
    created: createdAt,
    'last read': lastReadAt ?? 'never since this process started',
    websocket,
    ...Object.fromEntries(warningLines(stream.warnings).map((line, i) => [`warning ${i + 1}`, line])),
  }
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(13)} ${value}`)
    .join('\n')
}

/** How long ago, in the largest unit that it fills. Whoever reads is heard of every two seconds, which is now. */
function agoOf(millis: number): string {
  if (millis < READS_NOW_MS) return 'now'
  const [unit, size] = UNITS.find(([, each]) => millis >= each) ?? ['s', 1000]
  return `${Math.floor(millis / size)}${unit} ago`
}

/** A duration in its largest whole unit, such as 7d or 90s. */
function ageOf(millis: number): string {
  const [unit, size] = UNITS.find(([, each]) => millis % each === 0) ?? ['ms', 1]
  return `${millis / size}${unit}`
}

function pathOf(id: string): string {
  return `/v1/streams/${encodeURIComponent(id)}`
}
