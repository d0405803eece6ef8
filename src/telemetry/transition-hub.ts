import { startInterval, type Timer } from '../async/timers.ts'
import type { EdgeCounts, Transition, TransitionFeed, TransitionNews } from '../ports/actors.ts'

/** How often watchers are told. */
const TELL_EVERY_MS = 200
/** What one piece of news holds at most; a process at its limits takes some thousand steps a second. */
const MOST_IN_NEWS = 2_000
/** So many are kept for whoever begins to watch. */
const KEPT = 100

/** The transitions of the machines of this process: counted always, gathered and told while somebody watches. */
export interface TransitionHub extends TransitionFeed {
  /** Never throws. */
  record(transition: Transition): void
}

/**
 * Watchers share one timer, which runs only while there are any. The counts are by machine and edge, never by actor, so that they are bounded
 * however many applications come and go.
 */
export function createTransitionHub(instance: string): TransitionHub {
  const watchers = new Set<(news: TransitionNews) => void>()
  const counts = new Map<string, number>()
  const kept: Transition[] = []
  let gathered: Transition[] = []
  let skipped = 0
  let timer: Timer | undefined

  function tell(): void {
    if (gathered.length === 0) return
    const transitions = gathered
    const news = { instance, transitions, skipped, counts: countsOf(transitions.map(edgeOf)) }
    gathered = []
    skipped = 0
    for (const onNews of [...watchers]) onNews(news)
  }

  function countsOf(edges: Iterable<string>): EdgeCounts {
    return Object.fromEntries([...new Set(edges)].map((edge) => [edge, counts.get(edge) ?? 0]))
  }

  return {
    instance,
    record(transition) {
      const edge = edgeOf(transition)
      counts.set(edge, (counts.get(edge) ?? 0) + 1)
      kept.push(transition)
      if (kept.length >= 2 * KEPT) kept.splice(0, kept.length - KEPT)
      if (watchers.size === 0) return
      if (gathered.length < MOST_IN_NEWS) gathered.push(transition)
      else skipped += 1
    },
    latest: () => ({ instance, transitions: kept.slice(-KEPT), skipped: 0, counts: countsOf(counts.keys()) }),
    watch(onNews) {
      watchers.add(onNews)
      timer ??= startInterval(tell, TELL_EVERY_MS)
      return {
        stop() {
          watchers.delete(onNews)
          if (watchers.size > 0) return
          timer?.stop()
          timer = undefined
          gathered = []
          skipped = 0
        },
      }
    },
  }
}

/** The id of an edge in the diagrams. */
function edgeOf({ machine, from, event, to }: Transition): string {
  return `${machine}.${from}.${event}.${to}`
}
