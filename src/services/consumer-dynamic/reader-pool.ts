import { onAbort } from '../../async/abort.ts'
import { deadlineAfter } from '../../async/timers.ts'
import { toTapelineError } from '../../errors.ts'
import type { Broker, Reader } from '../../ports/broker.ts'
import type { Log, Meter } from '../../ports/log.ts'

const CLOSE_MS = 2_000

/** Readers that catch up, at most so many at once: who comes when all are taken waits for its turn, and gets one that is open already. */
export interface ReaderPool {
  /** Whether somebody waits for a turn. */
  readonly isAwaited: boolean
  /** Works with a reader that reads nothing yet. It goes to the next one afterwards, unless the work failed. */
  use<T>(signal: AbortSignal, work: (reader: Reader) => Promise<T>): Promise<T>
}

interface PoolParts {
  readonly broker: Pick<Broker, 'openReader'>
  readonly log: Log
  readonly meter: Meter
}

export function createReaderPool({ broker, log, meter }: PoolParts, most: number): ReaderPool {
  const waiting: ((reader: Reader | undefined) => void)[] = []
  let taken = 0

  const turn = (signal: AbortSignal): Promise<Reader | undefined> => {
    if (taken < most) {
      taken++
      meter.gauge('catch_up_readers', taken)
      return Promise.resolve(undefined)
    }
    return new Promise((resolve, reject) => {
      const take = (reader: Reader | undefined): void => {
        off()
        resolve(reader)
      }
      waiting.push(take)
      const off = onAbort(signal, () => {
        const at = waiting.indexOf(take)
        if (at < 0) return
        waiting.splice(at, 1)
        reject(signal.reason)
      })
    })
  }

  const close = async (reader: Reader): Promise<void> => {
    await reader.close(deadlineAfter(CLOSE_MS)).catch((error: unknown) => {
      log.debug({ code: toTapelineError(error).code }, 'a reader did not close')
    })
  }

  /** Hands the turn on, with the reader where it is fit. */
  const passOn = (reader: Reader | undefined): void => {
    const next = waiting.shift()
    if (next !== undefined) {
      next(reader)
      return
    }
    taken--
    meter.gauge('catch_up_readers', taken)
    if (reader !== undefined) void close(reader)
  }

  return {
    get isAwaited() {
      return waiting.length > 0
    },
    async use(signal, work) {
      let reader = await turn(signal)
      try {
        signal.throwIfAborted()
        reader ??= await broker.openReader(signal)
        const assigned = new Map<string, { readonly topic: string; readonly partition: number }>()
        const result = await work(tracked(reader, assigned))
        await reader.unassign([...assigned.values()], signal)
        passOn(reader)
        return result
      } catch (error) {
        passOn(undefined)
        if (reader !== undefined) await close(reader)
        throw error
      }
    },
  }
}

/** The same reader, which notes what it reads, and which its borrower does not close. */
function tracked(
  reader: Reader,
  assigned: Map<string, { readonly topic: string; readonly partition: number }>,
): Reader {
  return {
    assign(positions, signal) {
      for (const { topic, partition } of positions)
        assigned.set(`${topic}:${partition}`, { topic, partition })
      return reader.assign(positions, signal)
    },
    unassign: (partitions, signal) => reader.unassign(partitions, signal),
    poll: (options, signal) => reader.poll(options, signal),
    close: async () => undefined,
  }
}
