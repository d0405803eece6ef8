import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of the heap that are in use once everything that can go has gone. */
export async function usedHeap(): Promise<number> {
  for (let i = 0; i < 2; i++) {
    collectGarbage()
    // What is finalized is freed the next time.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  // At once: what the process makes in a moment is garbage too, but not collected yet.
  collectGarbage()
  return process.memoryUsage().heapUsed
}
