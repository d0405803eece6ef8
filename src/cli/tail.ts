import { encodeCursor } from '../domain/cursor.ts'
import { emptyMemory } from '../domain/reader-rules.ts'
import { TapelineError } from '../errors.ts'
import { streamSchema } from '../gateway/schemas/streams.ts'
import { openLogAlone } from '../topology/engines.ts'
import {
  type ApiClient,
  findPlatform,
  requirePlatform,
  TARGET_HELP,
  TARGET_OPTIONS,
  targetConfig,
} from './api-client.ts'
import { type Command, choiceFlag, countFlag, expectWords, type Flags, type Terminal } from './command.ts'
import { openLog } from './platform-flags.ts'
import { createEventPrinter, type EventPrinter } from './tail/event-printer.ts'
import { brokerLog, platformLog } from './tail/record-log.ts'
import { followStream } from './tail/stream.ts'
import { followTopic, printTopic } from './tail/topic.ts'

const HELP = `
Usage: tapeline tail STREAM|TOPIC [--from earliest|latest] [--limit N] [--exit] [--json]
                     [--data DIR] [--config FILE] [--api URL]

Prints the events of a stream (by the id that streams create printed) or of a topic (its name has a dot:
market.trades, market.status, app....) as they arrive, until Ctrl-C. A cut connection goes on where it was.
Without a running platform a topic is read from the broker that the configuration names, or from the data
folder, up to its end.

  --from WHERE    earliest: all that is kept, or latest: what comes from now on (default)
  --limit N       end after N events
  --exit          end at what is the end now
  --json          print one JSON object a line
${TARGET_HELP}

Examples:
  tapeline tail all-trades
  tapeline tail market.trades --from earliest --json --exit > trades.jsonl
  tapeline tail market.status --from earliest --exit
`

type Place = 'earliest' | 'latest'

export const command: Command = {
  name: 'tail',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    from: { type: 'string' },
    limit: { type: 'string' },
    exit: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, 'the name of a STREAM or a TOPIC', 1)
    const [name = ''] = words
    const from = choiceFlag(flags, 'from', ['earliest', 'latest']) ?? 'latest'
    const limit = countFlag(flags, 'limit', 1)
    const printer = createEventPrinter({ json: flags['json'] === true, limit, terminal })
    // Names of streams have no dot, names of topics always have one.
    if (name.includes('.')) await tailTopic(flags, name, from, printer, terminal)
    else await tailStream(flags, name, from, printer, terminal)
    return 0
  },
}

async function tailTopic(
  flags: Flags,
  topic: string,
  from: Place,
  printer: EventPrinter,
  terminal: Terminal,
): Promise<void> {
  const client = findPlatform(flags)
  if (client === undefined) return await tailBroker(flags, topic, from, printer, terminal)
  const read = flags['exit'] ? printTopic : followTopic
  try {
    await read({ log: platformLog(() => requirePlatform(flags)), topic, from, printer, terminal })
  } catch (error) {
    // The file of a killed platform may name a process that is somebody else by now.
    const isGone = error instanceof TapelineError && error.code === 'NOT_RUNNING'
    if (!isGone || flags['api'] !== undefined || printer.printed > 0) throw error
    await tailBroker(flags, topic, from, printer, terminal)
  }
}

/** Reads the topic itself. A folder that is open here has no platform, so nothing can come into it; a broker may have others. */
async function tailBroker(
  flags: Flags,
  topic: string,
  from: Place,
  printer: EventPrinter,
  terminal: Terminal,
): Promise<void> {
  const config = targetConfig(flags)
  const isFolder = config.broker.kind === 'embedded'
  const { reader, close } = await openLogAlone(config, openLog(config.log.level), terminal.signal)
  const log = brokerLog(reader)
  try {
    const read = flags['exit'] || isFolder ? printTopic : followTopic
    await read({ log, topic, from, printer, terminal })
    if (isFolder && !flags['exit']) terminal.note(`no platform runs on ${config.data}: this is all there is`)
  } finally {
    await log.close()
    await close()
  }
}

async function tailStream(
  flags: Flags,
  stream: string,
  from: Place,
  printer: EventPrinter,
  terminal: Terminal,
): Promise<void> {
  const connect = (): ApiClient => requirePlatform(flags)
  // What the WebSocket leaves out, such as markers, would hide from its reader that the end is reached.
  if (flags['exit']) {
    const topic = await topicOf(connect(), stream, terminal.signal)
    return await printTopic({ log: platformLog(connect), topic, from, printer, terminal })
  }
  const cursor = from === 'earliest' ? await firstCursor(connect(), stream, terminal.signal) : undefined
  await followStream({ connect, stream, cursor, printer, terminal })
}

async function topicOf(client: ApiClient, stream: string, signal: AbortSignal): Promise<string> {
  const { topic } = await client.call(`/v1/streams/${encodeURIComponent(stream)}`, streamSchema, signal)
  return topic
}

/** A cursor at the first record that is kept. */
async function firstCursor(client: ApiClient, stream: string, signal: AbortSignal): Promise<string> {
  const topic = await topicOf(client, stream, signal)
  const { id, offsets } = await platformLog(() => client).describe(topic, signal)
  const first = { topicId: id, offset: offsets[0]?.earliest ?? 0, memory: emptyMemory() }
  return encodeCursor({ lease: stream, topics: [first] })
}
