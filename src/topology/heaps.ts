import { getHeapStatistics } from 'node:v8'
import { threadHeaps } from '../async/thread.ts'
import type { Heap } from '../telemetry/overload.ts'

/** Of what V8 gives a thread: beyond that it collects garbage more and more, and does little else. */
const HEAP_SHARE = 0.8

/** The other threads are asked at each so manyth call: to wake one costs the processor more than all else that is looked at. */
const ASK_EVERY = 10

/**
 * Gives, each time it is called, the heaps of this process: that of the main thread, and those of the threads that `openThread` has started, as
 * they answered lately. Of two answers of a thread the lower one counts: the other may be garbage that is due to be collected. `limitBytes` holds
 * for each; without it a share of what V8 gives it.
 */
export function watchHeaps(limitBytes: number | undefined): () => readonly Heap[] {
  let others: readonly Heap[] = []
  let before = new Map<string, number>()
  let calls = 0

  const ask = async (): Promise<void> => {
    const found = await threadHeaps()
    others = found.map(({ name, usedBytes, mostBytes }) =>
      heapOf(Math.min(usedBytes, before.get(name) ?? usedBytes), mostBytes, name),
    )
    before = new Map(found.map(({ name, usedBytes }) => [name, usedBytes]))
  }
  const heapOf = (usedBytes: number, mostBytes: number, thread?: string): Heap => ({
    usedBytes,
    limitBytes: limitBytes ?? mostBytes * HEAP_SHARE,
    ...(thread !== undefined && { thread }),
  })

  return () => {
    if (calls++ % ASK_EVERY === 0) void ask()
    const { used_heap_size: used, heap_size_limit: most } = getHeapStatistics()
    return [heapOf(used, most), ...others]
  }
}
