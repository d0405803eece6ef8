import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coresUsed, type MemorySample, trends } from './memory-samples.ts'

const HOUR = 60

function growthOfHeap(heapAt: (minute: number) => number | undefined): number | undefined {
  const samples = Array.from({ length: HOUR }, (_, minute): MemorySample => {
    const heap = heapAt(minute)
    return {
      ...{ at: minute * 60, cpu: 0, code: 1, reserved: 1, rss: 1, external: 1, handles: 1 },
      ...(heap !== undefined && { heap }),
    }
  })
  return trends(samples).find(({ measure }) => measure === 'heap')?.growth
}

test('what a process needs to settle, and a sample that stands out, are no growth', () => {
  const growth = growthOfHeap((minute) => (minute < 10 ? 40 + minute : minute === 59 ? 90 : 50))
  assert.equal(growth, 0)
})

test('the heap is compared where garbage was collected, and not at all where it never was', () => {
  const growth = growthOfHeap((minute) => ({ 18: 50, 54: 51 })[minute]) ?? 0
  assert.ok(Math.abs(growth - 0.02) < 1e-9, `${growth}`)
  assert.throws(
    () => growthOfHeap((minute) => (minute === 18 ? 50 : undefined)),
    /1 values of heap are too few/,
  )
})

test('what is kept of each minute is growth', () => {
  const growth = growthOfHeap((minute) => 100 + 0.1 * minute) ?? 0
  assert.ok(growth > 0.035 && growth < 0.045, `${growth}`)
})

test('the processor time of the start is not that of an idle process', () => {
  const samples = Array.from(
    { length: HOUR },
    (_, minute): MemorySample => ({
      ...{
        at: minute * 60,
        cpu: 5 + minute * 0.6,
        heap: 1,
        code: 1,
        reserved: 1,
        rss: 1,
        external: 1,
        handles: 1,
      },
    }),
  )
  assert.ok(Math.abs(coresUsed(samples) - 0.01) < 1e-9, `${coresUsed(samples)}`)
})

test('too few samples tell nothing', () => {
  assert.throws(() => trends([]), /too few/)
  assert.throws(() => coresUsed([]), /too few/)
})
