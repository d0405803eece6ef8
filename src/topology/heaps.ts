import { getHeapStatistics } from 'node:v8'
import { threadHeaps } from '../async/thread.ts'
import type { Heap } from '../telemetry/overload.ts'

/** Of what V8 gives a thread: beyond that it collects garbage more and more, and does little else. */
const HEAP_SHARE = 0.8

/**
 * Gives, each time it is called, the heaps of this process: that of the main thread, and those of the threads that `openThread` has started as
 * they were at the last call, since these answer later. `limitBytes` holds for each; without it a share of what V8 gives it.
 */
export function watchHeaps(limitBytes: number | undefined): () => readonly Heap[] {
  let others: readonly Heap[] = []
  let isAsked = false

  const ask = async (): Promise<void> => {
    isAsked = true
    const found = await threadHeaps()
    others = found.map(({ name, usedBytes, mostBytes }) => heapOf(usedBytes, mostBytes, name))
    isAsked = false
  }
  const heapOf = (usedBytes: number, mostBytes: number, thread?: string): Heap => ({
    usedBytes,
    limitBytes: limitBytes ?? mostBytes * HEAP_SHARE,
    ...(thread !== undefined && { thread }),
  })

  return () => {
    if (!isAsked) void ask()
    const { used_heap_size: used, heap_size_limit: most } = getHeapStatistics()
    return [heapOf(used, most), ...others]
  }
}
