import assert from 'node:assert/strict'
import { usedHeap } from '../collected-heap.ts'

/** What has finalizers goes some collections later. */
const LOOKS = 20

/**
 * Asserts that the heap is level over rounds of work, of which the first is not measured: there code is compiled, and caches are filled. What is
 * kept grows in each of the others; what is compiled late does not.
 */
export async function assertLevel(
  work: () => Promise<void> | void,
  {
    rounds = 3,
    mostBytes,
    what,
  }: { readonly rounds?: number; readonly mostBytes: number; readonly what: string },
): Promise<void> {
  await work()
  const grown: number[] = []
  for (let before = await usedHeap(); grown.length < rounds; before = await usedHeap()) {
    await work()
    let after = await usedHeap()
    for (let look = 0; look < LOOKS && after - before >= mostBytes; look++) after = await usedHeap()
    if (after - before < mostBytes) return
    grown.push(after - before)
  }
  assert.fail(`${Math.min(...grown)} bytes in each round of ${what}`)
}
