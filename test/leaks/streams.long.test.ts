import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryRecord } from '../../src/control/registry-records.ts'
import { RegistryView } from '../../src/control/registry-view.ts'
import { RoutingTable } from '../../src/domain/routing.ts'
import type { StreamSpec } from '../../src/domain/stream-spec.ts'
import { createLeaseClock } from '../../src/services/coordinator/lease-clock.ts'
import { heapGrowth } from '../collected-heap.ts'
import { NAMES } from '../names.ts'

const STREAMS = 100_000
/** So many live at a time. */
const AT_ONCE = 100
const author = { v: 1, instance: 'leader', epoch: 1, createdAt: 0 } as const

test('100,000 streams that were made and deleted leave the registry, the routes and the clock of leases as they were', async () => {
  const view = new RegistryView(NAMES.leaderId)
  const table = new RoutingTable<{ readonly spec: StreamSpec }>()
  const time = { now: 0 }
  const clock = createLeaseClock(view, () => time.now)
  let offset = 0
  const apply = (key: string, record: RegistryRecord | null): void => view.apply(offset++, key, record)

  const round = (names: readonly string[]): void => {
    for (const id of names) {
      const spec: StreamSpec = { channel: 'trade', symbols: ['*', id], exchanges: [] }
      const stream = { ...author, kind: 'stream', id, topic: `app.${id}`, topicId: id, start: [0] } as const
      const lease = { ...author, kind: 'lease', id: `lease-${id}`, reason: '', app: 'app' } as const
      const terms = { streamId: id, ttlMs: 10_000, standing: false, opensTopic: true } as const
      const ours = { ...stream, spec: { ...spec, symbols: [...spec.symbols], exchanges: [] } }
      apply(`stream:${id}`, { ...ours, start: [0], state: 'ready' })
      apply(`lease:${lease.id}`, { ...lease, ...terms, state: 'live' })
      table.set(id, { spec })
      assert.ok(table.match('trade', 'x', 'BTC-USD').length > 0)
    }
    time.now += 1_000
    clock.expired(names.map((id) => `lease-${id}`))
    for (const id of names) apply(`lease:lease-${id}`, null)
    clock.abandoned({ graceMs: 60_000, retentionMs: 60_000 })
    for (const id of names) {
      apply(`stream:${id}`, null)
      table.delete(id)
    }
    time.now += 1_000
    clock.expired([])
    clock.abandoned({ graceMs: 60_000, retentionMs: 60_000 })
  }
  const makeAndDelete = (from: number, count: number): void => {
    for (let n = from; n < from + count; n += AT_ONCE)
      round(Array.from({ length: AT_ONCE }, (_, i) => `S${n + i}`))
  }

  makeAndDelete(0, 20_000)
  const grown = await heapGrowth(() => makeAndDelete(20_000, STREAMS - 20_000))
  assert.equal([...view.streams()].length + [...view.leases()].length, 0)
  assert.ok(grown < 1_000_000, `${grown} bytes for ${STREAMS - 20_000} streams`)
})
