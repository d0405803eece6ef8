import { whenAborted } from '../async/abort.ts'
import { startInterval } from '../async/timers.ts'
import { TapelineError } from '../errors.ts'
import { DIALECTS, isSimulatedExchange } from '../simulator/exchanges/index.ts'
import { parseModes } from '../simulator/misbehaviour.ts'
import { type Simulator, type SimulatorStats, startSimulator } from '../simulator/simulator.ts'
import { type Command, countFlag, type Flags, portFlag, type Terminal, textFlag } from './command.ts'
import { invocation } from './invocation.ts'
import { openPlatformLog } from './platform-flags.ts'
import { secondsFlag } from './simulate/seconds-flag.ts'
import { tellRecordings } from './simulate/tell.ts'

const HELP = `
Usage: tapeline simulate [--exchange NAME[,NAME]] [--host H] [--port P] [--seed S] [--rate R] [--events N]
                         [--exit] [--ledger FILE] [--misbehave MODE[,MODE]] [--heartbeat SECONDS] [--json]
       tapeline simulate FILE... [--speed recorded|N] [--loop] [--host H] [--port P] [--exit]
                         [--misbehave MODE[,MODE]] [--heartbeat SECONDS] [--json]

Runs a simulator alone, on a local port, with trades from a seeded random walk: CryptoCompare's WebSocket v2
and REST, or exchanges by their own protocols, with quotes and order books. It begins to trade when something
subscribes. Ctrl-C ends it.

With FILEs it tells what was recorded in their place: the frames of each exchange by its own protocol, to each
client what it asks for, from the first subscription on. It takes what tapeline replay takes.

  --exchange NAMES     speak as these exchanges, each at a path of its name: ${Object.keys(DIALECTS).join(', ')}
  --host H             address to listen on (default: 127.0.0.1; anyone who reaches it may control it)
  --port P             port (default: 8089; 0 lets the system choose)
  --seed S             decides prices, sizes, sides and gaps (default: 1)
  --rate R             trades a second over all markets (default: 100)
  --events N           emit N trades, then nothing more but heartbeats (default: endless)
  --exit               end once the N trades are emitted and in the ledger, or all FILEs are told
  --ledger FILE        append each emitted trade, one JSON line each
  --misbehave MODES    drop, stall, close, 401, 429, babble (with ws- in front: WebSocket only), drop:SECONDS,
                       duplicate, out-of-order, garbage (with :SHARE after, at most 1)
  --heartbeat SECONDS  between heartbeats (default: 30)
  --speed S            of FILEs: recorded (default), or a number such as 10: so many times as fast
  --loop               of FILEs: at the end cut the connections, and begin anew for those who come
  --json               print the addresses as one JSON object

While it runs: GET /stats, GET /misbehave, POST /misbehave {"modes": ["drop"]}; [] ends the misbehaviour.

Examples:
  tapeline simulate --rate 1000 --ledger ledger.jsonl
  tapeline up --simulator http://127.0.0.1:8089
  tapeline simulate --exchange kraken,okx
  tapeline up --simulator http://127.0.0.1:8089/kraken
  tapeline simulate recordings/kraken-*.jsonl.zst --speed 10
  curl -X POST http://127.0.0.1:8089/misbehave -d '{"modes": ["stall"]}'
`

const DEFAULT_PORT = 8089
const STATUS_EVERY_MS = 10_000

export const command: Command = {
  name: 'simulate',
  runsPlatform: true,
  help: HELP,
  options: {
    exchange: { type: 'string' },
    host: { type: 'string' },
    port: { type: 'string' },
    seed: { type: 'string' },
    rate: { type: 'string' },
    events: { type: 'string' },
    exit: { type: 'boolean' },
    ledger: { type: 'string' },
    misbehave: { type: 'string' },
    heartbeat: { type: 'string' },
    speed: { type: 'string' },
    loop: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    if (words.length > 0) return await tellRecordings(words, flags, terminal)
    for (const name of ['speed', 'loop'])
      if (flags[name] !== undefined) throw new TapelineError('USAGE', `--${name} goes with FILEs`)
    const events = countFlag(flags, 'events', 1)
    if (flags['exit'] && events === undefined) {
      throw new TapelineError(
        'USAGE',
        '--exit needs --events: without it the simulator never comes to an end',
      )
    }
    const simulator = await startSimulator({
      exchanges: exchangesOf(flags),
      host: textFlag(flags, 'host'),
      port: portFlag(flags) ?? DEFAULT_PORT,
      seed: countFlag(flags, 'seed'),
      rate: countFlag(flags, 'rate', 1),
      events,
      ledger: textFlag(flags, 'ledger'),
      misbehave: parseModes(textFlag(flags, 'misbehave') ?? ''),
      heartbeatSeconds: secondsFlag(flags, 'heartbeat'),
      log: openPlatformLog({ level: 'warn' }),
    })
    try {
      introduce(simulator, flags, terminal)
      await untilOver(simulator, flags['exit'] === true, terminal)
      terminal.note(statusLine(await simulator.stats()))
    } finally {
      await simulator.close()
    }
    return 0
  },
}

/** The exchanges that it speaks as; undefined where it is CryptoCompare. Raises USAGE. */
function exchangesOf(flags: Flags): readonly string[] | undefined {
  const text = textFlag(flags, 'exchange')
  if (text === undefined) return undefined
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => !isSimulatedExchange(name))
  if (unknown.length === 0) return names
  throw new TapelineError(
    'USAGE',
    `--exchange takes ${Object.keys(DIALECTS).join(', ')}, not ${JSON.stringify(unknown.join(','))}`,
  )
}

function introduce({ port, url, websocketUrl }: Simulator, flags: Flags, terminal: Terminal): void {
  const exchanges = exchangesOf(flags)
  if (flags['json']) {
    terminal.print(JSON.stringify({ port, url, websocketUrl, ...(exchanges && { exchanges }) }))
    return
  }
  const [runs, platforms] =
    exchanges === undefined
      ? [`The CryptoCompare simulator runs: REST ${url}, WebSocket ${websocketUrl}`, [url]]
      : [`The simulator runs as ${exchanges.join(', ')}`, exchanges.map((name) => `${url}/${name}`)]
  terminal.print(
    [
      runs,
      'A platform on it:',
      ...platforms.map((address) => `  ${invocation(['up', '--simulator', address])}`),
      'Let it misbehave while it runs, and end that:',
      `  curl -X POST ${url}/misbehave -d '{"modes": ["drop"]}'`,
      `  curl -X POST ${url}/misbehave -d '{"modes": []}'`,
    ].join('\n'),
  )
}

/** Shows the status now and then until Ctrl-C, or until all trades are emitted where `exits`. Rejects when the ledger fails. */
async function untilOver(simulator: Simulator, exits: boolean, terminal: Terminal): Promise<void> {
  const status = startInterval(() => {
    simulator.stats().then((stats) => terminal.note(statusLine(stats)))
  }, STATUS_EVERY_MS)
  try {
    const stopped = whenAborted(terminal.signal)
    // A failing ledger ends it either way; without --exit the end of the trades does not.
    await Promise.race([stopped, exits ? simulator.done : simulator.done.then(() => stopped)])
  } finally {
    status.stop()
  }
}

function statusLine(stats: SimulatorStats): string {
  const { emitted, markets, connections, subscriptions, ended, lostMillis, misbehave } = stats
  const notes = [
    ...(ended ? ['all were emitted'] : []),
    ...(lostMillis > 0 ? [`${lostMillis} ms were left out: the rate cannot be held`] : []),
    ...(misbehave.length > 0 ? [`misbehaves: ${misbehave.join(', ')}`] : []),
  ]
  const counts = `${emitted} trades of ${markets} markets; ${connections} connections, ${subscriptions} subscriptions`
  return [counts, ...notes].join('; ')
}
