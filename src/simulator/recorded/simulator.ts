import { onAbort } from '../../async/abort.ts'
import { RecordedPace } from '../../async/recorded-pace.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { Log } from '../../ports/log.ts'
import { WalkClock } from '../clock.ts'
import { DIALECTS, type SimulatedExchange } from '../exchanges/index.ts'
import { Feeds } from '../feeds.ts'
import { Misbehaviour } from '../misbehaviour.ts'
import { SimulatorServer } from '../server.ts'
import { RecordedExchange } from './exchange.ts'

/** A line of a recording: what came over a connection, what came by REST, and where a connection begins. Times are microseconds. */
export type RecordedLine =
  | { readonly kind: 'received'; readonly ts: number; readonly frame: string }
  | { readonly kind: 'answered'; readonly ts: number; readonly url: string; readonly body: string }
  | { readonly kind: 'opened' }

/** What was recorded of one exchange. */
export interface ServedRecording {
  readonly exchange: SimulatedExchange
  /** What the exchange calls its markets. */
  readonly names: readonly string[]
  /** Its lines, from the beginning each time. Raises CAPTURE_INVALID. */
  readonly lines: (signal: AbortSignal) => AsyncIterable<RecordedLine>
}

interface RecordedSimulatorOptions {
  readonly recordings: readonly ServedRecording[]
  /** So many times as fast as it was recorded. */
  readonly speed: number
  /** At the end the connections are cut, and it begins anew for those who come. */
  readonly loop: boolean
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Seconds between pings. */
  readonly heartbeatSeconds?: number | undefined
  /** As `Misbehaviour` describes it: outages only, since trades are sent as they were recorded. */
  readonly misbehave: readonly string[]
  readonly log: Log
}

export interface RecordedStats {
  /** Frames told so far, whether or not anybody followed their markets. */
  readonly told: number
  /** Frames of the recordings that are told to nobody: answers, heartbeats, other protocols. */
  readonly leftOut: number
  readonly markets: number
  readonly connections: number
  readonly subscriptions: number
  /** How often a recording has come to its end. */
  readonly rounds: number
  readonly misbehave: readonly string[]
}

/** A running simulator of recordings. */
export interface RecordedSimulator {
  readonly port: number
  /** Each exchange is at the path of its name. */
  readonly url: string
  stats(): RecordedStats
  /** Resolves when all recordings have come to their end, never in a loop. Rejects with CAPTURE_INVALID. */
  readonly done: Promise<void>
  close(): Promise<void>
}

/**
 * Starts a server that speaks as exchanges do and tells what was recorded of them, each from when somebody asks for one of its markets. Raises PORT_IN_USE,
 * USAGE (a misbehaviour).
 */
export async function startRecordedSimulator(options: RecordedSimulatorOptions): Promise<RecordedSimulator> {
  const { recordings, host, log, heartbeatSeconds = 30 } = options
  let misbehaviour = outageOf(options.misbehave)
  const clock = new WalkClock(Date.now)
  const stop = new AbortController()
  const counts = { told: 0, leftOut: 0, rounds: 0 }
  const plays = recordings.map((recording) => new Play(recording, counts))
  const exchanges = new Map(plays.map((play) => [play.exchange.dialect.exchange, play.exchange]))
  const stats = (): RecordedStats => ({
    ...counts,
    markets: plays.reduce((sum, { exchange }) => sum + exchange.markets, 0),
    connections: server.connections,
    subscriptions: server.subscriptions,
    misbehave: misbehaviour.modes,
  })
  const misbehave = (modes: readonly string[]) => {
    misbehaviour = outageOf(modes)
    server.misbehave(misbehaviour)
  }
  const server: SimulatorServer = new SimulatorServer(
    {
      ...{ clock, heartbeatSeconds, log, exchanges },
      // Nothing of CryptoCompare was recorded here.
      feeds: new Feeds([], new Map(), new Map(), clock),
      subscribe: () => undefined,
      begin: () => undefined,
      controlled: { stats, modes: () => misbehaviour.modes, misbehave },
    },
    misbehaviour,
  )
  const port = await server.listen(options.port, host)
  const done = Promise.all(plays.map((play) => play.run(options, server, stop.signal))).then(() => undefined)
  // Whoever awaits `done` still learns of a failure; without a listener it must not end the process.
  done.catch(() => {})
  return {
    port,
    url: `http://${host}:${port}`,
    stats,
    done,
    async close() {
      stop.abort()
      await server.close()
      await done.catch((error: unknown) => log.debug({ error: toTapelineError(error).message }, 'ended'))
    },
  }
}

/** Raises USAGE for what it does not do, too: frames are told as they were recorded. */
function outageOf(modes: readonly string[]): Misbehaviour {
  const misbehaviour = new Misbehaviour(modes)
  if (!misbehaviour.distorts) return misbehaviour
  throw new TapelineError('USAGE', 'of a recording nothing is sent twice, swapped or added to', {
    remedy:
      'Modes are drop, stall, close, 401, 429, babble (with ws- in front: WebSocket only) and drop:SECONDS.',
  })
}

/** One recording as it is played. */
class Play {
  readonly exchange: RecordedExchange
  readonly #recording: ServedRecording
  readonly #counts: { told: number; leftOut: number; rounds: number }
  #asked = Promise.withResolvers<void>()

  constructor(recording: ServedRecording, counts: { told: number; leftOut: number; rounds: number }) {
    this.#recording = recording
    this.#counts = counts
    this.exchange = new RecordedExchange(DIALECTS[recording.exchange], recording.names, () =>
      this.#asked.resolve(),
    )
  }

  /** Waits for who asks, and tells it all; again and again where it loops. */
  async run(
    { speed, loop }: Pick<RecordedSimulatorOptions, 'speed' | 'loop'>,
    server: SimulatorServer,
    signal: AbortSignal,
  ): Promise<void> {
    onAbort(signal, () => this.#asked.resolve())
    do {
      await this.#asked.promise
      const pace = new RecordedPace(speed)
      for await (const line of this.#recording.lines(signal)) {
        if ('ts' in line) await pace.until(line.ts, signal)
        if (signal.aborted) return
        this.#take(line)
        server.flush()
      }
      this.#counts.rounds++
      if (!loop) return
      this.#asked = Promise.withResolvers()
      this.exchange.restart()
      server.cut(this.exchange)
    } while (!signal.aborted)
  }

  #take(line: RecordedLine): void {
    switch (line.kind) {
      case 'opened':
        this.exchange.opened()
        break
      case 'answered':
        this.exchange.answered(line.url, line.body)
        break
      case 'received':
        this.#counts[this.exchange.tell(line.frame) ? 'told' : 'leftOut']++
    }
  }
}
