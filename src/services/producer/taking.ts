import { decodeEvent } from '../../domain/event-codec.ts'
import { CHANNELS, type Channel, marketKey, type Trade } from '../../domain/events.ts'
import { lostFromOf, tickOf } from '../../domain/fixed-markers.ts'
import { LogInFront } from '../../domain/log-in-front.ts'
import { eventTime } from '../../domain/open-windows.ts'
import { admit, emptyMemory, isOfFormerOwner, type ReaderMemory } from '../../domain/reader-rules.ts'
import { asPast } from '../../domain/trade-window.ts'
import { toTapelineError } from '../../errors.ts'
import type { StoredRecord } from '../../ports/broker.ts'
import type { ProducerParts } from './parts.ts'
import { SLACK_MS } from './route.ts'
import type { Shard } from './shard.ts'
import { keepLatest, setClock, setTick, type Tail } from './tail.ts'

/** A take-over keeps no more records than this in memory. */
const MOST_PENDING = 100_000
/** And no more than so many of before the checkpoint. */
const MOST_BEFORE = 1_000

/** What this process knows of its own former ownership of a shard. */
export interface FormerOwnership {
  readonly epoch: number
  readonly expected: Readonly<Record<Channel, number>>
  /** The epochs that this process has claimed since, in take-overs that did not end: no other owner's. */
  readonly claimed: Set<number>
}

/** A take-over under way. A reader has two memories in each channel: before the checkpoint, and from the checkpoint on. */
export interface Taking {
  readonly shard: Shard
  readonly former: FormerOwnership | undefined
  readonly landed: Record<Channel, number>
  readonly memories: Readonly<
    Record<Channel, { readonly before: ReaderMemory; readonly after: ReaderMemory }>
  >
  isInterrupted: boolean
  isFenced: boolean
  /** Trades before this offset are gone unread. Undefined if none are, or once a later record tells when the last of them was published. */
  goneBefore: number | undefined
  /** Whether retention, or a batch that nobody can read, has taken trades that no checkpoint knows: somebody has published them. */
  isOfUnknownAge: boolean
  /** Where a log went on that has lost its end and has grown beyond the checkpoint's position again, by channel. */
  readonly wentOn: Partial<Record<Channel, number>>
  /** What lies in front of the checkpoint's position, by channel. */
  readonly inFront: Readonly<Record<Channel, LogInFront>>
  /** The highest epoch of a record that was read. */
  highest: number
}

/** A take-over of a shard before anything was read of its log. */
export function beginTaking(shard: Shard, former: FormerOwnership | undefined): Taking {
  const { k, restored, lost } = shard
  const epochAt = (channel: Channel): number => restored.epochs[channel] ?? -1
  const memories = Object.fromEntries(
    CHANNELS.map((channel) => {
      const before = emptyMemory()
      // Of a log that has lost its end only what lies in front tells which epochs count: the marker of the last owner may be lost too.
      const isLost = lost.has(channel)
      const after = isLost ? before : { ...emptyMemory(), epochs: { [k]: epochAt(channel) } }
      return [channel, { before, after }]
    }),
  ) as Taking['memories']
  // A later owner wrote the checkpoint: its records may lie before it, where this take-over does not read.
  // Offsets of a log that was lost do not tell what landed: the windows judge what is in hand.
  const isInterrupted =
    former !== undefined && (lost.size > 0 || CHANNELS.some((channel) => isOthers(former, epochAt(channel))))
  const { ownedSince } = restored
  if (ownedSince !== undefined) shard.noteOwner(former !== undefined && !isInterrupted, ownedSince)
  const landed = { trade: 0, quote: 0, candle: 0, book: 0, status: 0 }
  return {
    shard,
    former,
    memories,
    landed,
    isInterrupted,
    isFenced: false,
    goneBefore: goneIn(shard),
    isOfUnknownAge: false,
    wentOn: {},
    inFront: Object.fromEntries(
      CHANNELS.map((channel) => {
        const last = epochAt(channel)
        // The owner that the checkpoint names did not know of its own last write, nor of what later owners wrote.
        const known = { last, position: restored.positions[channel] ?? 0, heardTo: last - 1 }
        return [channel, new LogInFront(known)]
      }),
    ) as Taking['inFront'],
    highest: -1,
  }
}

/** Where the topic of trades begins anew, or has lost its end. */
function goneIn({ lost, restored }: Shard): number | undefined {
  const found = lost.get('trade')
  if (found === undefined) return undefined
  return found.code === 'TOPIC_REPLACED' ? (restored.positions.trade ?? 0) : found.at
}

/** Whether an epoch is of an owner after this process, and not one that this process claimed itself. */
function isOthers({ epoch, claimed }: FormerOwnership, other: number): boolean {
  return other > epoch && !claimed.has(other)
}

function isOwn({ shard, former }: Taking, epoch: number): boolean {
  return epoch === shard.epoch || epoch === former?.epoch || former?.claimed.has(epoch) === true
}

/** Takes in what a record of a shard's fixed topics says to its new owner. */
export function takeRecord(
  { log }: ProducerParts,
  taking: Taking,
  channel: Channel,
  record: StoredRecord,
): void {
  const { shard, former, landed, memories } = taking
  const { epoch = -1 } = record.headers
  if (epoch > shard.epoch) taking.isFenced = true
  taking.highest = Math.max(taking.highest, epoch)
  const { owners } = shard.tails[channel]
  const begin = taking.inFront[channel].take(record)
  if (epoch > (owners.at(-1)?.epoch ?? -1)) owners.push({ epoch, offset: begin, marker: record.offset })
  // The last owner before this one wrote in the place of a lost end, and did not live to tell.
  if (epoch === shard.epoch && begin < record.offset && begin < lostAt(shard, channel))
    taking.wentOn[channel] = begin
  // An owner writes its marker into each channel: retention may have left only one of them.
  if (epoch >= 0 && epoch <= shard.epoch) shard.noteOwner(isOwn(taking, epoch), record.timestamp * 1_000)
  if (channel === 'trade') {
    // An owner saw that trades were lost, which nobody can know any more.
    if (epoch <= shard.epoch && lostFromOf(record) !== undefined) shard.missTrades(record.timestamp * 1_000)
    // The lost trades were published before this record.
    if (taking.goneBefore !== undefined && record.offset >= taking.goneBefore) {
      shard.missTrades(record.timestamp * 1_000)
      taking.goneBefore = undefined
    }
  }
  if (former && isOthers(former, epoch)) taking.isInterrupted = true
  const isDerived = record.offset < (shard.restored.positions[channel] ?? 0)
  const memory = isDerived ? memories[channel].before : memories[channel].after
  const tick = isOfFormerOwner(memory, record.headers) ? undefined : tickOf(record)
  if (tick !== undefined) {
    const tail = shard.tails[channel]
    if (isDerived) setClock(tail, tick)
    else if (tail.pending.length < MOST_PENDING) setTick(tail, { offset: record.offset, tick })
  }
  if (!admit(memory, record.headers) || record.value === null) return
  if (former && epoch === former.epoch && record.offset >= former.expected[channel]) landed[channel]++
  try {
    const event = decodeEvent(channel, record.value, record.headers.v)
    const market = marketKey(event)
    const isOld = record.headers.reentering && !shard.window(market).isAmongLatest(event.ts)
    if (channel === 'trade' && !isDerived && !isOld) {
      const trade = event as Trade
      shard.window(market).remember(record.headers.reentering ? asPast(trade) : trade)
      shard.changed.add(market)
    }
    if (record.headers.reentering) return
    const tail = shard.tails[channel]
    setClock(tail, eventTime(event))
    const published = { offset: record.offset, market, event, value: record.value }
    if (isDerived && record.timestamp >= shard.restored.at - SLACK_MS) {
      tail.recentFrom ??= record.offset
      tail.before.push({ offset: record.offset, at: record.timestamp, event })
      if (tail.before.length > MOST_BEFORE) tail.before.shift()
    }
    if (!isDerived && tail.pending.length < MOST_PENDING) tail.pending.push(published)
    keepLatest(tail, channel, published)
  } catch (error) {
    log.warn(
      { offset: record.offset, channel, code: toTapelineError(error).code },
      'a record cannot be derived',
    )
  }
}

/** Where a log went on, as far as it is known already that it has lost its end; it has in front of all of it where it was made anew. */
function lostAt({ lost }: Shard, channel: Channel): number {
  const found = lost.get(channel)
  if (found === undefined) return Number.POSITIVE_INFINITY
  return 'at' in found ? found.at : 0
}

/** With too much in hand the streams count as behind, and read the log piece by piece. */
export function limitPending(tail: Tail): void {
  if (tail.pending.length < MOST_PENDING) return
  tail.pending = []
  tail.derivedTo = tail.expected
}
