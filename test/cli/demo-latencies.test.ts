import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Latencies } from '../../src/cli/demo/latencies.ts'

function ofMillis(...millis: readonly number[]): string {
  const latencies = new Latencies()
  for (const each of millis) latencies.add(each * 1000)
  return String(latencies)
}

test('a latency is told with its number of samples, and not at all without one', () => {
  assert.equal(ofMillis(), 'not measured (0 samples)')
  assert.equal(ofMillis(2.04), 'p50 2.1 ms (1 sample)')
  assert.equal(ofMillis(1, 2, 3), 'p50 2.1 ms (3 samples)')
})

test('a percentile is told only of as many samples as can tell it', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 0.05)
  assert.equal(ofMillis(...hundred), 'p50 49.1 ms, p99 98.1 ms (100 samples)')
  const thousand = Array.from({ length: 1000 }, (_, i) => i + 0.05)
  assert.equal(ofMillis(...thousand), 'p50 499.1 ms, p99 989.1 ms, p99.9 998.1 ms (1000 samples)')
})

test('what is slower than all buckets is said to be so', () => {
  assert.equal(ofMillis(70_000), 'p50 over 10000 ms (1 sample)')
})
