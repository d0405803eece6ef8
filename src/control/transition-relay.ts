import { z } from 'zod'
import { startInterval, type Timer } from '../async/timers.ts'
import { toTapelineError } from '../errors.ts'
import type { Transition, TransitionFeed, TransitionNews } from '../ports/actors.ts'
import type { Log } from '../ports/log.ts'
import type { ControlBus } from './bus.ts'
import type { ControlRecordOf } from './control-records.ts'
import type { Membership } from './membership.ts'
import { CONTROL_VERSION } from './record-format.ts'

/** How often who watches says so. */
const ASK_EVERY_MS = 3_000
/** Who has not heard it for so long tells nothing any more. */
const TELL_FOR_MS = 10_000
/** How often a process tells what its machines did. */
const TELL_EVERY_MS = 500
/** One record holds so many steps, the latest, and the counts of all. A step takes about 120 bytes. */
const MOST_TOLD = 100

const bodySchema = z.object({
  transitions: z.array(
    z.object({
      ts: z.number(),
      actor: z.string(),
      machine: z.enum(['producer', 'coordinator', 'consumerFixed', 'consumerDynamic']),
      from: z.string(),
      event: z.string(),
      to: z.string(),
    }),
  ),
  skipped: z.number().int(),
  counts: z.record(z.string(), z.number()),
})

/** What the machines of all processes do: of this one by itself, of the others over the control topic while somebody watches. */
export interface TransitionRelay extends TransitionFeed {
  close(): void
}

interface RelayOptions {
  readonly instance: string
  readonly own: TransitionFeed
  readonly bus: ControlBus
  readonly membership: Pick<Membership, 'live'>
  /** Milliseconds of a clock of this machine that never steps back. */
  readonly now: () => number
  readonly log: Log
}

/**
 * Who has watchers says so every three seconds, and the others then tell twice a second what their machines did: the latest steps and how many
 * they leave out. They stop when nobody has asked for ten seconds, so that a watcher that was killed costs nothing for long.
 */
export function relayTransitions({
  instance,
  own,
  bus,
  membership,
  now,
  log,
}: RelayOptions): TransitionRelay {
  const author = { v: CONTROL_VERSION, instance } as const
  const watchers = new Set<(news: TransitionNews) => void>()
  let asking: Timer | undefined
  let teller: ReturnType<typeof startTelling> | undefined
  let askedAt = 0

  const send = (record: ControlRecordOf<'WATCH_TRANSITIONS' | 'TRANSITIONS'>): void => {
    bus.send([record]).catch((error: unknown) => {
      log.debug({ kind: record.kind, code: toTapelineError(error).code }, 'watching is interrupted')
    })
  }

  /** `isNew`: who asks has no counts yet. */
  const ask = (isNew: boolean): void => {
    const isAlone = membership.live().every((member) => member.instance === instance)
    if (!isAlone) send({ ...author, kind: 'WATCH_TRANSITIONS', isNew })
  }

  const tell = ({ transitions, skipped, counts }: TransitionNews): void => {
    const left = transitions.slice(-MOST_TOLD)
    const body = { transitions: left, skipped: skipped + transitions.length - left.length, counts }
    send({ ...author, kind: 'TRANSITIONS', body: JSON.stringify(body) })
  }

  const offWatch = bus.on('WATCH_TRANSITIONS', (record) => {
    if (record.instance === instance) return
    askedAt = now()
    if (record.isNew) tell(own.latest())
    teller ??= startTelling(own, tell, () => {
      if (now() - askedAt < TELL_FOR_MS) return false
      teller = undefined
      return true
    })
  })

  const offTold = bus.on('TRANSITIONS', (record) => {
    if (watchers.size === 0 || record.instance === instance) return
    const news = placed(record)
    for (const onNews of [...watchers]) onNews(news)
  })

  return {
    instance,
    latest: () => own.latest(),
    watch(onNews) {
      const watch = own.watch(onNews)
      watchers.add(onNews)
      ask(true)
      asking ??= startInterval(() => ask(false), ASK_EVERY_MS)
      return {
        stop() {
          watch.stop()
          watchers.delete(onNews)
          if (watchers.size > 0) return
          asking?.stop()
          asking = undefined
        },
      }
    },
    close() {
      offWatch()
      offTold()
      asking?.stop()
      teller?.stop()
    },
  }
}

/** Gathers what the machines do and tells it at intervals, until it is stopped or nobody asks any more. */
function startTelling(
  own: TransitionFeed,
  tell: (news: TransitionNews) => void,
  isOver: () => boolean,
): { stop(): void } {
  let gathered: TransitionNews | undefined
  const watch = own.watch((news) => {
    const transitions: readonly Transition[] = [...(gathered?.transitions ?? []), ...news.transitions]
    const kept = transitions.slice(-MOST_TOLD)
    const skipped = (gathered?.skipped ?? 0) + news.skipped + transitions.length - kept.length
    gathered = { ...news, transitions: kept, skipped, counts: { ...gathered?.counts, ...news.counts } }
  })
  const stop = (): void => {
    watch.stop()
    timer.stop()
  }
  const timer = startInterval(() => {
    if (isOver()) return stop()
    if (gathered === undefined) return
    const news = gathered
    gathered = undefined
    tell(news)
  }, TELL_EVERY_MS)
  return { stop }
}

/** What another process told, with the ids that its actors have here. */
function placed({ instance, body }: ControlRecordOf<'TRANSITIONS'>): TransitionNews {
  const { transitions, ...news } = bodySchema.parse(JSON.parse(body))
  return {
    ...news,
    instance,
    transitions: transitions.map((step) => ({ ...step, actor: `${step.actor}@${instance}` })),
  }
}
