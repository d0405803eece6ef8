import { actorsSchema, resetSchema } from '../gateway/schemas.ts'
import type { PlacedActor } from '../ports/actors.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, expectWords, type Flags, type Terminal } from './command.ts'
import { runSubcommand } from './subcommand.ts'
import { formatTable } from './table.ts'

const HELP = `
Usage: tapeline actors [list] [--json] [--data DIR | --config FILE | --api URL]
       tapeline actors reset ID [--data DIR | --config FILE | --api URL]

Lists the state machines of the running platform with state, time in it, restarts and the error that one
is in; or sends RESET to one, which goes back to its initial state and does the work in hand again. Machines
of other processes are listed too, under ids with @ and the instance.

  --json       print {"actors": [...]}
${TARGET_HELP}

Examples:
  tapeline actors
  tapeline actors --json
  tapeline actors reset producer
`

export const command: Command = {
  name: 'actors',
  summary: 'list the state machines of the running platform, or reset one',
  help: HELP,
  options: { ...TARGET_OPTIONS, json: { type: 'boolean' } },
  run: (flags, words, terminal) => runSubcommand({ list, reset }, 'list', flags, words, terminal),
}

async function list(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, '', 0)
  const answer = await requirePlatform(flags, 'any').call('/v1/actors', actorsSchema, terminal.signal)
  terminal.print(flags['json'] ? JSON.stringify(answer) : tableOf(answer.actors))
  return 0
}

async function reset(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, 'the ID of an actor', 1)
  const [id = ''] = words
  const path = `/v1/actors/${encodeURIComponent(id)}/reset`
  const answer = await requirePlatform(flags, 'any').call(path, resetSchema, terminal.signal, {
    method: 'POST',
  })
  terminal.print(flags['json'] ? JSON.stringify(answer) : `${answer.event} was sent to ${answer.id}`)
  return 0
}

function tableOf(actors: readonly PlacedActor[]): string {
  const now = Date.now()
  const isSpread = new Set(actors.map(({ instance }) => instance)).size > 1
  const where = (text: string): string[] => (isSpread ? [text] : [])
  const rows = actors.map(({ id, instance, machine, state, since, restarts, errorInfo }) => {
    const seconds = Math.max(0, (now - Date.parse(since)) / 1000)
    const error = errorInfo ? `${errorInfo.code} in ${errorInfo.step}: ${errorInfo.message}` : ''
    return [id, ...where(instance), machine, state, `${seconds.toFixed(1)} s`, String(restarts), error]
  })
  return formatTable(['ID', ...where('INSTANCE'), 'MACHINE', 'STATE', 'FOR', 'RESTARTS', 'ERROR'], rows)
}
