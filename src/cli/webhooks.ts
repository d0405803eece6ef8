import type { z } from 'zod'
import { TapelineError } from '../errors.ts'
import { newWebhookSchema, webhookSchema, webhooksSchema } from '../gateway/schemas/streams.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, countFlag, expectWords, type Flags, type Terminal, textFlag } from './command.ts'
import { deleteEach } from './delete-each.ts'
import { invocation } from './invocation.ts'
import { REQUEST_FLAGS, REQUEST_OPTIONS, requestOf } from './stream-request.ts'
import { runSubcommand } from './subcommand.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline webhooks [list] [--json]
       tapeline webhooks create URL --stream ID [--cursor C] [--max-events N] [--max-wait T] [--json]
       tapeline webhooks create URL --channel C --symbols S[,S] [--exchanges E[,E]] [--where W]
                                [--fields F[,F]] [--every T | --interval I] [--depth N] [--lateness T] [--empty] [--from T]
                                [--ttl T] [--max-events N] [--max-wait T] [--json]
       tapeline webhooks show ID [--json]
       tapeline webhooks pause ID [--json]
       tapeline webhooks resume ID [--json]
       tapeline webhooks delete ID [ID ...] [--json]

Has the running platform post a stream to an address, in order, until the receiver has taken each message.
create prints the id and the secret that verifies messages (Standard Webhooks): it is shown this one time.
A stream lives as long as a webhook reads it. A webhook whose receiver fails for long (webhooks.pauseAfter),
or answers 410, pauses itself; resume goes on where it was.

  --stream ID      a stream that is there; without it a new one, by the flags of tapeline streams create
  --cursor C       with --stream: begins after this place (default: with what comes next)
  --max-events N   the most events of one message, 1 to 1000 (default: 100)
  --max-wait T     how long an event waits for others of its message: 0, 250ms, 1s, up to 60s (default: 1s)
  --json           print what the API answers
${TARGET_HELP}

Examples:
  tapeline webhooks create https://example.com/hook --channel trade --symbols 'BTC-*'
  tapeline webhooks
  tapeline webhooks resume 01KB3T5W4H5D8Z7Q2M9N6P1R0S
`

type Webhook = z.output<typeof webhookSchema>

export const command: Command = {
  name: 'webhooks',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    stream: { type: 'string' },
    cursor: { type: 'string' },
    ...REQUEST_OPTIONS,
    'max-events': { type: 'string' },
    'max-wait': { type: 'string' },
    json: { type: 'boolean' },
  },
  subcommands: ['list', 'create', 'show', 'pause', 'resume', 'delete'],
  run: (flags, words, terminal) =>
    runSubcommand(
      { list, create, show, pause: changeBy('pause'), resume: changeBy('resume'), delete: remove },
      'list',
      flags,
      words,
      terminal,
    ),
}

async function list(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, '', 0)
  const answer = await requirePlatform(flags).call('/v1/webhooks', webhooksSchema, terminal.signal)
  if (flags['json']) terminal.print(JSON.stringify(answer))
  else if (answer.webhooks.length > 0) {
    const rows = answer.webhooks.map(({ id, state, url, stream, app, deliveredAt, failure }) => [
      ...[id, state, url, stream, app, deliveredAt ?? 'never', failure?.message ?? ''],
    ])
    const columns = ['WEBHOOK', 'STATE', 'URL', 'STREAM', 'APPLICATION', 'DELIVERED', 'FAILURE']
    await printTable(terminal, columns, rows, (row) => row, { hasIds: true })
  } else {
    const example = ['webhooks', 'create', 'https://example.com/hook', '--channel', 'trade', '--symbols', '*']
    terminal.note(`There are no webhooks. Make one:\n  ${invocation(example, flags)}`)
  }
  return 0
}

async function create(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, 'the URL of a receiver', 1)
  const [url = ''] = words
  const maxEvents = countFlag(flags, 'max-events', 1)
  const maxWait = textFlag(flags, 'max-wait')
  const body = {
    url,
    ...whatOf(flags),
    ...(maxEvents !== undefined && { maxEvents }),
    ...(maxWait !== undefined && { maxWait }),
  }
  const webhook = await requirePlatform(flags).call('/v1/webhooks', newWebhookSchema, terminal.signal, {
    method: 'POST',
    body,
  })
  if (flags['json']) {
    terminal.print(JSON.stringify(webhook))
    return 0
  }
  terminal.print(`${webhook.id}\n${webhook.secret}`)
  terminal.note(
    `The second line is the secret that verifies messages: keep it, it is not shown again. See how it fares:\n  ${invocation(['webhooks', 'show', webhook.id], flags)}`,
  )
  return 0
}

/** What the webhook reads: a stream that is there, or a new one. Raises USAGE. */
function whatOf(flags: Flags): object {
  const stream = textFlag(flags, 'stream')
  const cursor = textFlag(flags, 'cursor')
  const given = REQUEST_FLAGS.find((name) => flags[name] !== undefined)
  if (stream !== undefined && given !== undefined)
    throw new TapelineError('USAGE', `--${given} makes a new stream: it does not go with --stream`)
  if (stream === undefined && cursor !== undefined)
    throw new TapelineError('USAGE', '--cursor goes with --stream')
  if (stream === undefined && given === undefined)
    throw new TapelineError('USAGE', '--stream, or --channel and --symbols, are missing')
  if (stream === undefined) return { spec: requestOf(flags, undefined) }
  return { stream, ...(cursor !== undefined && { cursor }) }
}

async function show(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, 'the ID of a webhook', 1)
  const [id = ''] = words
  const webhook = await requirePlatform(flags).call(pathOf(id), webhookSchema, terminal.signal)
  terminal.print(flags['json'] ? JSON.stringify(webhook) : linesOf(webhook))
  return 0
}

const changeBy =
  (change: 'pause' | 'resume') =>
  async (flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> => {
    expectWords(words, 'the ID of a webhook', 1)
    const [id = ''] = words
    const path = `${pathOf(id)}/${change}`
    const webhook = await requirePlatform(flags).call(path, webhookSchema, terminal.signal, {
      method: 'POST',
    })
    terminal.print(flags['json'] ? JSON.stringify(webhook) : `${id} is ${webhook.state}`)
    return 0
  }

function remove(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  const names = { route: '/v1/webhooks', what: 'webhook', done: 'has ended', key: 'deleted' }
  return deleteEach(names, flags, words, terminal)
}

function linesOf({ id, app, url, stream, ...rest }: Webhook): string {
  const { maxEvents, maxWait, state, failure, deliveredAt, createdAt } = rest
  const fields = {
    webhook: id,
    state,
    ...(failure && {
      failure: `${failure.code}: ${failure.message}`,
      'failing since': `${failure.since}, ${failure.attempts} attempts`,
    }),
    url,
    stream,
    application: app,
    messages: `up to ${maxEvents} events, after up to ${maxWait} s`,
    delivered: deliveredAt ?? 'never',
    created: createdAt,
  }
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(13)} ${value}`)
    .join('\n')
}

function pathOf(id: string): string {
  return `/v1/webhooks/${encodeURIComponent(id)}`
}
