import { actorsSchema, resetSchema } from '../gateway/schemas/operations.ts'
import type { PlacedActor } from '../ports/actors.ts'
import { watchActors } from './actors/watch.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, expectWords, type Flags, type Terminal } from './command.ts'
import { runSubcommand } from './subcommand.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline actors [list] [--watch] [--json] [--data DIR | --config FILE | --api URL]
       tapeline actors reset ID [--data DIR | --config FILE | --api URL]

Lists the state machines of the running platform with state, what each has (a producer its shards, a
coordinator whether it leads, consumers how many partitions or topics), time in the state, restarts and
the error that one is in; or sends RESET to one, which goes back to its initial state and does the work
in hand again. Machines of other processes are listed too, under ids with @ and the instance.

  --watch      print each step of the machines of all processes as it comes, until Ctrl-C
  --json       print {"actors": [...]}; with --watch one JSON object a step
${TARGET_HELP}

Examples:
  tapeline actors
  tapeline actors --json
  tapeline actors --watch
  tapeline actors reset producer
`

export const command: Command = {
  name: 'actors',
  help: HELP,
  options: { ...TARGET_OPTIONS, json: { type: 'boolean' }, watch: { type: 'boolean' } },
  subcommands: ['list', 'reset'],
  run: (flags, words, terminal) => runSubcommand({ list, reset }, 'list', flags, words, terminal),
}

async function list(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number> {
  expectWords(words, '', 0)
  if (flags['watch']) {
    await watchActors({ connect: () => requirePlatform(flags), json: flags['json'] === true, terminal })
    return 0
  }
  const answer = await requirePlatform(flags, 'any').call('/v1/actors', actorsSchema, terminal.signal)
  if (flags['json']) terminal.print(JSON.stringify(answer))
  else await printActors(terminal, answer.actors)
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

async function printActors(terminal: Terminal, actors: readonly PlacedActor[]): Promise<void> {
  const now = Date.now()
  const isSpread = new Set(actors.map(({ instance }) => instance)).size > 1
  const where = (text: string): string[] => (isSpread ? [text] : [])
  const columns = ['ID', ...where('INSTANCE'), 'MACHINE', 'STATE', 'HAS', 'FOR', 'RESTARTS', 'ERROR']
  const cellsOf = (actor: PlacedActor): string[] => {
    const { id, instance, machine, state, since, restarts, errorInfo } = actor
    const seconds = Math.max(0, (now - Date.parse(since)) / 1000)
    const error = errorInfo ? `${errorInfo.code} in ${errorInfo.step}: ${errorInfo.message}` : ''
    const place = [id, ...where(instance), machine, state]
    return [...place, holdingOf(actor), `${seconds.toFixed(1)} s`, String(restarts), error]
  }
  await printTable(terminal, columns, actors, cellsOf, { hasIds: true })
}

/** What an actor has of what is shared: which shards, the leadership, how many partitions or topics. */
function holdingOf({ machine, context }: PlacedActor): string {
  switch (machine) {
    case 'producer':
      return shardsOf(context['shards'])
    case 'coordinator':
      return context['leads'] === true ? 'leads' : 'stands by'
    case 'consumerFixed':
      return counted(context['partitions'], 'partition')
    case 'consumerDynamic':
      return counted(context['topics'], 'topic')
  }
}

/** Numbers of shards with their ranges in short: `shards 0-3,7`. */
function shardsOf(value: unknown): string {
  if (!Array.isArray(value)) return ''
  if (value.length === 0) return 'no shard'
  const ranges: [number, number][] = []
  for (const shard of value.map(Number).toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last?.[1] === shard - 1) last[1] = shard
    else ranges.push([shard, shard])
  }
  const shown = ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`))
  return `${value.length === 1 ? 'shard' : 'shards'} ${shown.join(',')}`
}

function counted(value: unknown, what: string): string {
  if (typeof value !== 'number') return ''
  return value === 1 ? `1 ${what}` : `${value} ${what}s`
}
