import { whenAborted } from '../../async/abort.ts'
import { startInterval } from '../../async/timers.ts'
import { TapelineError } from '../../errors.ts'
import { parseModes } from '../../simulator/misbehaviour.ts'
import {
  type RecordedSimulator,
  type RecordedStats,
  startRecordedSimulator,
} from '../../simulator/recorded/simulator.ts'
import { type Flags, portFlag, type Terminal, textFlag } from '../command.ts'
import { invocation } from '../invocation.ts'
import { openPlatformLog } from '../platform-flags.ts'
import { speedFlag } from '../speed-flag.ts'
import { openRecordings } from './recordings.ts'
import { secondsFlag } from './seconds-flag.ts'

const DEFAULT_PORT = 8089
const STATUS_EVERY_MS = 10_000
/** What belongs to markets that the simulator makes up. */
const OF_WALKS = ['exchange', 'seed', 'rate', 'events', 'ledger']

/** Serves recordings until Ctrl-C, or with --exit until all is told. Gives the exit code. Raises USAGE, CAPTURE_INVALID, PORT_IN_USE. */
export async function tellRecordings(
  paths: readonly string[],
  flags: Flags,
  terminal: Terminal,
): Promise<number> {
  const other = OF_WALKS.find((name) => flags[name] !== undefined)
  if (other !== undefined) throw new TapelineError('USAGE', `--${other} does not go with FILEs`)
  if (flags['exit'] && flags['loop'])
    throw new TapelineError('USAGE', '--exit does not go with --loop: it never comes to an end')
  const speed = speedFlag(flags) ?? 1
  if (speed === 'fastest')
    throw new TapelineError('USAGE', 'a server holds to times: --speed takes recorded or a number such as 10')
  const misbehave = parseModes(textFlag(flags, 'misbehave') ?? '')
  const recordings = await openRecordings(paths, terminal.signal)
  const simulator = await startRecordedSimulator({
    ...{ recordings, speed, misbehave, loop: flags['loop'] === true },
    host: textFlag(flags, 'host') ?? '127.0.0.1',
    port: portFlag(flags) ?? DEFAULT_PORT,
    heartbeatSeconds: secondsFlag(flags, 'heartbeat'),
    log: openPlatformLog({ level: 'warn' }),
  })
  try {
    introduce(
      simulator,
      recordings.map(({ exchange }) => exchange),
      flags,
      terminal,
    )
    await untilOver(simulator, flags['exit'] === true, terminal)
    terminal.note(statusLine(simulator.stats()))
  } finally {
    await simulator.close()
  }
  return 0
}

function introduce(
  { port, url }: RecordedSimulator,
  exchanges: readonly string[],
  flags: Flags,
  terminal: Terminal,
): void {
  terminal.print(
    flags['json']
      ? JSON.stringify({ port, url, exchanges })
      : [
          `The simulator tells recordings of ${exchanges.join(', ')}`,
          'A platform on it:',
          ...exchanges.map((name) => `  ${invocation(['up', '--simulator', `${url}/${name}`])}`),
        ].join('\n'),
  )
}

async function untilOver(simulator: RecordedSimulator, exits: boolean, terminal: Terminal): Promise<void> {
  const status = startInterval(() => terminal.note(statusLine(simulator.stats())), STATUS_EVERY_MS)
  try {
    const stopped = whenAborted(terminal.signal)
    // A file that cannot be read ends it either way; without --exit the end of the recordings does not.
    await Promise.race([stopped, exits ? simulator.done : simulator.done.then(() => stopped)])
  } finally {
    status.stop()
  }
}

function statusLine({ told, markets, connections, subscriptions, rounds, misbehave }: RecordedStats): string {
  const notes = [
    ...(rounds > 0 ? [`${rounds} times to the end`] : []),
    ...(misbehave.length > 0 ? [`misbehaves: ${misbehave.join(', ')}`] : []),
  ]
  const counts = `${told} frames of ${markets} markets; ${connections} connections, ${subscriptions} subscriptions`
  return [counts, ...notes].join('; ')
}
