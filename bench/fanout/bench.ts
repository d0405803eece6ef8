import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Bench, median, wholeNumber } from '../bench.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import type { ClientAsked, ClientSaid, Emission, Emitted, Kind, Report, ServerSaid } from './messages.ts'

const SERVER = new URL('./server.ts', import.meta.url)
const CLIENTS = new URL('./clients.ts', import.meta.url)

const SOCKETS = 1_000
const STALLED = 10
const ROUNDS = 3
/** Frames of a round: as many as the sockets take, and at 50,000 deliveries a second. */
const FRAMES = 100
const WARM_UP_FRAMES = 60
const PER_SECOND = 50
const PACED_SECONDS = 5
/** What the stalled sockets are sent before: more than the kernel and the bound of a socket take together. */
const FLOOD = { frames: 32, eventsAFrame: 1, bytes: 512 * 1024, isDrained: false, stalled: 0 } as const

export const bench: Bench = {
  summary: `one stream to ${wholeNumber(SOCKETS)} sockets through the delivery of a gateway, against a bare loop over ws; the same clients`,
  async run({ records }, print) {
    const frames = records ?? FRAMES
    const rounds: Round[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const bare = await measureKind('bare', 0, frames)
      const tapeline = await measureKind('tapeline', 0, frames)
      const stalled = await measureKind('tapeline', STALLED, frames)
      rounds.push({ bare, tapeline, stalled })
      // All of it takes minutes: what is there is told.
      print(`  round ${round + 1}: ${describeRound(bare, tapeline, stalled)}`)
    }
    for (const line of describe(rounds)) print(line)
  },
}

interface Measured {
  /** One event a frame, and ten, as fast as the sockets take them. */
  readonly single: Rate
  readonly gathered: Rate
  readonly paced: Report
  readonly emitted: Emitted
}

interface Rate {
  readonly framesASecond: number
  readonly eventsASecond: number
  readonly cpuMicrosAFrame: number
}

interface Round {
  readonly bare: Measured
  readonly tapeline: Measured
  readonly stalled: Measured
}

/** A process that answers each message with one. */
class Forked<Asked extends object, Said> {
  readonly #child: ChildProcess

  constructor(program: URL, args: readonly string[] = []) {
    this.#child = fork(fileURLToPath(program), args)
  }

  async said(): Promise<Said> {
    const ended = once(this.#child, 'exit').then(() => Promise.reject(new Error('it ended')))
    ended.catch(() => undefined)
    const [said] = (await Promise.race([once(this.#child, 'message'), ended])) as [Said]
    return said
  }

  ask(asked: Asked): Promise<Said> {
    this.#child.send(asked)
    return this.said()
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }
}

async function measureKind(kind: Kind, stalled: number, frames: number): Promise<Measured> {
  return inTemporaryFolder(async (folder) => {
    const server = new Forked<Emission, ServerSaid>(SERVER, [kind, folder])
    const clients = new Forked<ClientAsked, ClientSaid>(CLIENTS)
    try {
      const said = await server.said()
      const port = 'port' in said ? said.port : 0
      if (stalled > 0) {
        await clients.ask({ open: stalled, port, isStalled: true })
        await emit(server, FLOOD)
      }
      await clients.ask({ open: SOCKETS, port, isStalled: false })
      const all = { isDrained: true, stalled }
      await emit(server, { frames: WARM_UP_FRAMES, eventsAFrame: 1, ...all })
      const rateOf = async (eventsAFrame: number): Promise<Rate> =>
        rate(await emit(server, { frames, eventsAFrame, ...all }), frames, eventsAFrame)
      const single = await rateOf(1)
      const gathered = await rateOf(10)
      await arrived(clients, (WARM_UP_FRAMES + 11 * frames) * SOCKETS)
      const paced = { frames: PER_SECOND * PACED_SECONDS, eventsAFrame: 1, perSecond: PER_SECOND, ...all }
      const emitted = await emit(server, paced)
      const report = await arrived(clients, paced.frames * SOCKETS)
      return { single, gathered, paced: report, emitted }
    } finally {
      await clients.close()
      await server.close()
    }
  })
}

async function emit(server: Forked<Emission, ServerSaid>, emission: Emission): Promise<Emitted> {
  const said = await server.ask(emission)
  if ('emitted' in said) return said.emitted
  throw new Error('an answer of another kind')
}

/** The report of all events: none may be missing. */
async function arrived(clients: Forked<ClientAsked, ClientSaid>, events: number): Promise<Report> {
  const said = await clients.ask({ report: events })
  if (!('report' in said)) throw new Error('an answer of another kind')
  if (said.report.events < events) {
    process.exitCode = 1
    console.error(`  ${said.report.events} of ${events} EVENTS`)
  }
  return said.report
}

function rate({ seconds, cpuMicros }: Emitted, frames: number, eventsAFrame: number): Rate {
  const sent = frames * SOCKETS
  return {
    framesASecond: sent / seconds,
    eventsASecond: (sent * eventsAFrame) / seconds,
    cpuMicrosAFrame: cpuMicros / sent,
  }
}

function describeRound(bare: Measured, tapeline: Measured, stalled: Measured): string {
  const cpu = (rate: Rate | undefined): string => `${rate?.cpuMicrosAFrame.toFixed(1)} us`
  const side = ({ single, paced }: Measured): string =>
    `${wholeNumber(single?.framesASecond ?? Number.NaN)} frames/s, ${cpu(single)} of CPU a frame, p99 ${paced.p99.toFixed(0)} ms`
  const gathered = wholeNumber(tapeline.gathered?.eventsASecond ?? Number.NaN)
  return `bare ${side(bare)}; tapeline ${side(tapeline)}, gathered ${gathered} events/s; with stalled sockets p99 ${stalled.paced.p99.toFixed(0)} ms`
}

function describe(rounds: readonly Round[]): string[] {
  const middle = (of: (round: Round) => number | undefined): number =>
    median(rounds.map((round) => of(round) ?? Number.NaN))
  const ratio = (of: (round: Round) => number): string => {
    const ratios = rounds.map(of)
    return `${median(ratios).toFixed(2)} x bare (rounds ${ratios.map((each) => each.toFixed(2)).join(', ')})`
  }
  const side = (of: (round: Round) => Rate | undefined): string =>
    `${wholeNumber(middle((round) => of(round)?.framesASecond))} frames/s, ${wholeNumber(middle((round) => of(round)?.eventsASecond))} events/s, ${middle((round) => of(round)?.cpuMicrosAFrame).toFixed(2)} us of CPU a frame`
  const latency = (of: (round: Round) => Measured): string =>
    `p50 ${middle((round) => of(round).paced.p50).toFixed(1)} ms, p99 ${middle((round) => of(round).paced.p99).toFixed(1)} ms (rounds ${rounds.map((round) => of(round).paced.p99.toFixed(1)).join(', ')})`
  const quotient = (a: number | undefined, b: number | undefined): number =>
    (a ?? Number.NaN) / (b ?? Number.NaN)
  const megabytes = (bytes: number): string => `${wholeNumber(bytes / 1e6)} MB`
  return [
    `  one event a frame, frames/s: ${ratio(({ tapeline, bare }) => quotient(tapeline.single?.framesASecond, bare.single?.framesASecond))}; CPU a frame ${ratio(({ tapeline, bare }) => quotient(tapeline.single?.cpuMicrosAFrame, bare.single?.cpuMicrosAFrame))}`,
    `    tapeline  ${side(({ tapeline }) => tapeline.single)}`,
    `    bare      ${side(({ bare }) => bare.single)}`,
    `  ten events a frame, events/s, against one a frame: ${ratio(({ tapeline, bare }) => quotient(tapeline.gathered?.eventsASecond, bare.single?.eventsASecond))}`,
    `    tapeline  ${side(({ tapeline }) => tapeline.gathered)}`,
    `  at ${wholeNumber(PER_SECOND * SOCKETS)} deliveries/s, p99: ${ratio(({ tapeline, bare }) => quotient(tapeline.paced.p99, bare.paced.p99))}; ${wholeNumber(PER_SECOND * PACED_SECONDS * SOCKETS)} deliveries a round`,
    `    tapeline  ${latency(({ tapeline }) => tapeline)}; ${megabytes(middle(({ tapeline }) => tapeline.emitted.rssBytes))} of memory`,
    `    bare      ${latency(({ bare }) => bare)}`,
    `  the same with ${STALLED} stalled sockets among them, p99: ${median(rounds.map(({ tapeline, stalled }) => stalled.paced.p99 / tapeline.paced.p99)).toFixed(2)} x that without (rounds ${rounds.map(({ tapeline, stalled }) => (stalled.paced.p99 / tapeline.paced.p99).toFixed(2)).join(', ')})`,
    `    tapeline  ${latency(({ stalled }) => stalled)}; ${megabytes(middle(({ stalled }) => stalled.emitted.rssBytes))} of memory, ${megabytes(middle(({ stalled }) => stalled.emitted.pendingBytes))} of it wait in the stalled sockets`,
  ]
}
