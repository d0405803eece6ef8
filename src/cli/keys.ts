import type { z } from 'zod'
import { type keySchema, keysSchema, newKeySchema } from '../gateway/schemas/streams.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, countFlag, expectWords, type Flags, type Terminal, textFlag } from './command.ts'
import { deleteEach } from './delete-each.ts'
import { invocation } from './invocation.ts'
import { runSubcommand } from './subcommand.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline keys [list] [--json]
       tapeline keys create APPLICATION [--scopes S[,S]] [--streams N] [--sockets N] [--webhooks N]
                            [--events N] [--json]
       tapeline keys revoke ID [ID ...] [--json]

Makes keys for applications while the platform runs, lists and revokes them. It takes an admin key: the one
named admin, or one with the scope admin. Where no keys are configured this machine needs none. create prints the id and the key, which
is shown this one time. A revoked key is turned away by every gateway, and what it has open is closed.
Keys in TAPELINE_API_KEYS go on working; they are not listed here.

  --scopes S     what the key is for, with commas (default: read,streams):
                 read     streams and history
                 streams  making and ending streams and webhooks
                 admin    everything, also what belongs to other applications
  --streams N    the most streams of the application
  --sockets N    the most WebSockets and event streams of the application in one gateway
  --webhooks N   the most webhooks of the application
  --events N     how many events a second its sockets and event streams get together in one gateway
  --json         print what the API answers
${TARGET_HELP}

Examples:
  tapeline keys create bot-1 --streams 10 --sockets 2
  tapeline keys
  tapeline keys revoke 01KB3T5W4H5D8Z7Q2M9N6P1R0S
`

type Key = z.output<typeof keySchema>

/** The flag of each quota. */
const QUOTAS = {
  streams: 'streams',
  sockets: 'sockets',
  webhooks: 'webhooks',
  eventsPerSecond: 'events',
} as const

export const command: Command = {
  name: 'keys',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    scopes: { type: 'string' },
    streams: { type: 'string' },
    sockets: { type: 'string' },
    webhooks: { type: 'string' },
    events: { type: 'string' },
    json: { type: 'boolean' },
  },
  subcommands: ['list', 'create', 'revoke'],
  run: (flags, words, terminal) => runSubcommand({ list, create, revoke }, 'list', flags, words, terminal),
}

async function list(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, '', 0)
  const answer = await requirePlatform(flags).call('/v1/keys', keysSchema, terminal.signal)
  if (flags['json']) terminal.print(JSON.stringify(answer))
  else if (answer.keys.length > 0) {
    const rows = answer.keys.map(({ id, app, scopes, quotas, createdAt, revokedAt }) => [
      ...[id, app, scopes.join(','), describe(quotas), createdAt, revokedAt ?? ''],
    ])
    const columns = ['KEY', 'APPLICATION', 'SCOPES', 'QUOTAS', 'CREATED', 'REVOKED']
    await printTable(terminal, columns, rows, (row) => row, { hasIds: true })
  } else terminal.note(`There are no keys. Make one:\n  ${invocation(['keys', 'create', 'bot-1'], flags)}`)
  return 0
}

async function create(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, 'the name of an application', 1)
  const [app] = words
  const scopes = textFlag(flags, 'scopes')
    ?.split(',')
    .map((scope) => scope.trim())
  const quotas = Object.fromEntries(
    Object.entries(QUOTAS).flatMap(([name, flag]) => {
      const most = countFlag(flags, flag, 0)
      return most === undefined ? [] : [[name, most]]
    }),
  )
  const key = await requirePlatform(flags).call('/v1/keys', newKeySchema, terminal.signal, {
    method: 'POST',
    body: { app, ...(scopes && { scopes }), quotas },
  })
  if (flags['json']) {
    terminal.print(JSON.stringify(key))
    return 0
  }
  terminal.print(`${key.id}\n${key.key}`)
  terminal.note(
    `The second line is the key: keep it, it is not shown again. Use it:\n  curl -H 'authorization: Bearer ...' ADDRESS/v1/streams`,
  )
  return 0
}

function revoke(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  const names = { route: '/v1/keys', what: 'key', done: 'is revoked', key: 'revoked' }
  return deleteEach(names, flags, words, terminal)
}

function describe(quotas: Key['quotas']): string {
  return Object.entries(quotas)
    .map(([name, most]) => (name === 'eventsPerSecond' ? `${most} events/s` : `${most} ${name}`))
    .join(', ')
}
