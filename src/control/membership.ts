import { startInterval } from '../async/timers.ts'
import type { Offer } from '../domain/offer.ts'
import type { Log } from '../ports/log.ts'
import type { ControlBus } from './bus.ts'
import type { ControlRecordOf } from './control-records.ts'
import { logInterruption } from './interruption.ts'
import type { ProcessReport } from './process-report.ts'
import { CONTROL_VERSION } from './record-format.ts'

export type Role = 'producer' | 'coordinator' | 'consumer-fixed' | 'gateway'

type Heartbeat = ControlRecordOf<'HEARTBEAT'>

const HEARTBEAT_MS = 2_000
/** So much of what a process reads goes into one record, which has at most 1 MiB. */
const MOST_READING_BYTES = 256 * 1024
/** A member that has been silent so long is taken for gone. */
const SILENT_MS = 7_000

interface Member {
  readonly instance: string
  readonly roles: readonly string[]
  /** The leases that it reads; undefined where what it says is not understood (R23), or not complete yet. */
  readonly reading: readonly string[] | undefined
  /** What it last said of itself; undefined of this process. */
  readonly report?: ProcessReport | undefined
  /** What the source of a producer gives; undefined where it does not say. */
  readonly offer?: Offer | undefined
  readonly lastSeen: number
}

/** Who is there: each process says so every two seconds on the control topic. */
export interface Membership {
  /** Members heard of lately, this process included. */
  live(): readonly Member[]
  /** Who tells which leases are read here; asked at each heartbeat. */
  reading(source: () => Iterable<string>): void
  /** Who tells what the others may know of this process; asked at once, and at each heartbeat. */
  report(source: () => ProcessReport): void
  /** Who tells what the source of this process gives; asked at each heartbeat. */
  offer(source: () => Offer): void
  close(): void
}

/** `now`: milliseconds of a clock of this machine that never steps back, since others' clocks may differ. */
export function joinMembership(
  bus: ControlBus,
  me: { readonly instance: string; readonly roles: readonly Role[] },
  now: () => number,
  log: Log,
): Membership {
  const members = new Map<string, Member>()
  const sources: (() => Iterable<string>)[] = []
  const readHere = (): string[] => [...new Set(sources.flatMap((source) => [...source()]))]

  let reportOfThis: (() => ProcessReport) | undefined
  let offerOfThis: (() => Offer) | undefined

  /** What the pieces of a heartbeat have told so far, by process. */
  const begun = new Map<string, { readonly reading: string[]; pieces: number }>()
  /** All that a process reads, once the last piece of its heartbeat is there; before that, what it said the last time. */
  const gather = ({ instance, reading, part, parts }: Heartbeat): readonly string[] | undefined => {
    if (part === 0) begun.set(instance, { reading: [], pieces: 0 })
    const gathered = begun.get(instance)
    if (gathered?.pieces !== part) return members.get(instance)?.reading
    for (const id of reading) gathered.reading.push(id)
    gathered.pieces++
    if (gathered.pieces < parts) return members.get(instance)?.reading
    begun.delete(instance)
    return gathered.reading
  }

  const stop = bus.on('HEARTBEAT', (heartbeat) => {
    const { instance, roles, part } = heartbeat
    const report = part === 0 ? heartbeat.report : members.get(instance)?.report
    const offer = part === 0 ? heartbeat.offer : members.get(instance)?.offer
    members.set(instance, { instance, roles, reading: gather(heartbeat), report, offer, lastSeen: now() })
  })
  const stopUnreadable = bus.onUnreadable(({ kind, instance }) => {
    if (kind !== 'HEARTBEAT' || instance === undefined) return
    members.set(instance, { instance, roles: [], reading: undefined, lastSeen: now() })
  })
  const sendHeartbeat = async (): Promise<void> => {
    const pieces = inPieces(readHere(), MOST_READING_BYTES)
    for (const [part, reading] of pieces.entries()) {
      const author = { v: CONTROL_VERSION, kind: 'HEARTBEAT', instance: me.instance } as const
      const report = part === 0 ? reportOfThis?.() : undefined
      const offer = part === 0 ? wireOffer(offerOfThis?.()) : undefined
      await bus.send([
        { ...author, roles: [...me.roles], reading, part, parts: pieces.length, report, offer },
      ])
    }
  }

  const interruption = logInterruption(log, {
    began: 'a heartbeat was not sent',
    ended: 'heartbeats are sent again',
  })
  let isBeating = false
  let isDue = false
  /** One heartbeat after the other: the pieces of two must not mix. */
  const beat = (): void => {
    isDue = true
    if (isBeating) return
    isBeating = true
    void (async () => {
      while (isDue) {
        isDue = false
        await sendHeartbeat().then(interruption.end, interruption.begin)
      }
      isBeating = false
    })()
  }
  const timer = startInterval(beat, HEARTBEAT_MS)
  timer.unref()
  beat()

  return {
    live() {
      for (const [instance, member] of members) {
        if (now() - member.lastSeen <= SILENT_MS) continue
        members.delete(instance)
        begun.delete(instance)
      }
      const self: Member = {
        ...{ instance: me.instance, roles: me.roles, offer: offerOfThis?.(), lastSeen: now() },
        // Only on demand: it asks each of what may be thousands of subscriptions.
        get reading() {
          return readHere()
        },
      }
      return [self, ...[...members.values()].filter((member) => member.instance !== me.instance)]
    },
    reading(source) {
      sources.push(source)
    },
    report(source) {
      reportOfThis = source
      beat()
    },
    offer(source) {
      offerOfThis = source
      beat()
    },
    close() {
      timer.stop()
      stop()
      stopUnreadable()
    },
  }
}

/** Of a source with more markets the heartbeat names none: it is sent every two seconds. */
const MOST_MARKETS = 1_000

function wireOffer(offer: Offer | undefined): Heartbeat['offer'] {
  if (offer === undefined) return undefined
  const { channels, markets = [] } = offer
  const isNamed = offer.markets !== undefined && markets.length <= MOST_MARKETS
  return { channels: [...channels], ...(isNamed && { markets: [...markets] }) }
}

/** Texts in lists of at most so many bytes; at least one list. */
function inPieces(texts: readonly string[], mostBytes: number): string[][] {
  let piece: string[] = []
  const pieces = [piece]
  let bytes = 0
  for (const text of texts) {
    bytes += Buffer.byteLength(text) + 3
    if (bytes > mostBytes && piece.length > 0) {
      piece = []
      pieces.push(piece)
      bytes = Buffer.byteLength(text) + 3
    }
    piece.push(text)
  }
  return pieces
}
