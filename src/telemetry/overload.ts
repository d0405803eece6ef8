import { startInterval } from '../async/timers.ts'
import type { Meter } from '../ports/log.ts'
import type { Alerts } from './alerts.ts'

/** A thread's heap. */
export interface Heap {
  /** Left out for the main thread. */
  readonly thread?: string
  readonly usedBytes: number
  readonly limitBytes: number
}

/** What a process may use. */
interface Limits {
  /** How late work may begin, in milliseconds. */
  readonly eventLoopDelayMs: number
  readonly streams: number
  readonly topics: number
  readonly sockets: number
}

/** What is counted; undefined where another process tells of it. */
export interface Counted {
  readonly streams: number | undefined
  readonly topics: number | undefined
  readonly sockets: number | undefined
}

interface OverloadOptions {
  readonly limits: Limits
  readonly counted: () => Counted
  readonly alerts: Pick<Alerts, 'raise' | 'clear'>
  readonly meter: Meter
  /** Hears when the pressure on heap or event loop begins and ends. */
  readonly onPressure: (isPressed: boolean) => void
  /** The heaps of all threads; the fullest counts. */
  readonly heaps: () => readonly Heap[]
  /** Milliseconds of a steady clock. */
  readonly now?: () => number
}

export interface OverloadWatch {
  /** Why this process takes no further work, in words; undefined while it does. */
  readonly reason: string | undefined
  stop(): void
}

const LOOK_MS = 500
/** So many looks in a row are over the limit before it counts: a start or a collection of garbage is none. */
const LOOKS_TO_BEGIN = 3
/** So many looks in a row are well below it before it is over. */
const LOOKS_TO_END = 10
/** What is well below. */
const CALM = { heap: 0.9, eventLoop: 0.5, count: 0.95 }
const FULL = 1

/**
 * Watches what the process uses against its limits. What reaches its limit raises an alert, which ends when there is well less of it, so that
 * nothing flaps round a limit.
 */
export function watchOverload(options: OverloadOptions): OverloadWatch {
  const { limits, counted, alerts, meter, onPressure } = options
  const { heaps, now = () => performance.now() } = options
  const heap = createThreshold(FULL, CALM.heap, LOOKS_TO_BEGIN, LOOKS_TO_END)
  const lateMs = limits.eventLoopDelayMs
  const eventLoop = createThreshold(lateMs, lateMs * CALM.eventLoop, LOOKS_TO_BEGIN, LOOKS_TO_END)
  const counts = (['streams', 'topics', 'sockets'] as const).map((name) => ({
    name,
    threshold: createThreshold(limits[name], Math.floor(limits[name] * CALM.count), 1, 1),
  }))
  let lookedAt = now()
  let reason: string | undefined

  const lookAtProcess = (): void => {
    const delayMs = Math.max(0, now() - lookedAt - LOOK_MS)
    lookedAt = now()
    const fullest = heaps().toSorted((a, b) => shareOf(b) - shareOf(a))[0]
    const share = fullest === undefined ? 0 : shareOf(fullest)
    meter.gauge('event_loop_delay_seconds', delayMs / 1_000)
    meter.gauge('limit_ratio', share, { resource: 'heap' })
    meter.gauge('limit_ratio', delayMs / limits.eventLoopDelayMs, { resource: 'event_loop' })
    const isFull = heap.look(share)
    const isLate = eventLoop.look(delayMs)
    const reasons = [
      ...(isFull && fullest !== undefined ? [heapText(fullest)] : []),
      ...(isLate ? [`its work is late by more than ${limits.eventLoopDelayMs} ms`] : []),
    ]
    const wasPressed = reason !== undefined
    reason = reasons.length === 0 ? undefined : `the process is overloaded: ${reasons.join(', and ')}`
    if (reason === undefined) alerts.clear(ALERT)
    else alerts.raise(ALERT, 'OVERLOADED', `${reason}; new streams are refused, and quotes are conflated`)
    if (wasPressed !== (reason !== undefined)) onPressure(!wasPressed)
    meter.gauge('overloaded', reason === undefined ? 0 : 1)
  }

  const lookAtCounts = (): void => {
    const found = counted()
    for (const { name, threshold } of counts) {
      const count = found[name]
      const isReached = threshold.look(count ?? 0)
      if (count !== undefined) meter.gauge('limit_ratio', count / limits[name], { resource: name })
      const id = `${ALERT}-${name}`
      if (isReached) alerts.raise(id, 'LIMIT_REACHED', limitText(name, limits[name]))
      else alerts.clear(id)
    }
  }

  const timer = startInterval(() => {
    lookAtProcess()
    lookAtCounts()
  }, LOOK_MS).unref()

  return {
    get reason() {
      return reason
    },
    stop() {
      timer.stop()
      alerts.clear(ALERT)
      for (const { name } of counts) alerts.clear(`${ALERT}-${name}`)
    },
  }
}

const ALERT = 'overload'

function limitText(name: 'streams' | 'topics' | 'sockets', most: number): string {
  return `there are ${most} ${name}, as many as limits.${name} allows: further ones are refused`
}

const shareOf = ({ usedBytes, limitBytes }: Heap): number => usedBytes / limitBytes

function heapText({ thread, limitBytes }: Heap): string {
  const whose = thread === undefined ? 'its heap' : `the heap of its thread ${thread}`
  return `${whose} is at its limit of ${Math.round(limitBytes / 2 ** 20)} MiB`
}

/** A limit that is reached by `toBegin` looks in a row at it or beyond, and left by `toEnd` looks in a row at `calm` or below. */
function createThreshold(limit: number, calm: number, toBegin: number, toEnd: number) {
  let isReached = false
  let looks = 0
  return {
    /** Takes a value in; gives whether the limit is reached. */
    look(value: number): boolean {
      const isChange = isReached ? value <= calm : value >= limit
      looks = isChange ? looks + 1 : 0
      if (looks >= (isReached ? toEnd : toBegin)) {
        isReached = !isReached
        looks = 0
      }
      return isReached
    },
  }
}
