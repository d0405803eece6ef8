import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryRecord } from '../../src/control/registry-records.ts'
import { RegistryView } from '../../src/control/registry-view.ts'
import { RoutingTable } from '../../src/domain/routing.ts'
import type { StreamSpec } from '../../src/domain/stream-spec.ts'
import { createLeaseClock } from '../../src/services/coordinator/lease-clock.ts'
import { NAMES } from '../names.ts'
import { assertLevel } from './level.ts'

/** In each round, of which there are two at least. */
const STREAMS = 50_000
/** So many live at a time. */
const AT_ONCE = 100
const author = { v: 1, instance: 'leader', epoch: 1, createdAt: 0 } as const

test('100,000 streams and more that were made and deleted leave the registry, the routes and the clock of leases as they were', async () => {
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
  let made = 0
  const makeAndDelete = (): void => {
    for (let n = 0; n < STREAMS; n += AT_ONCE) round(Array.from({ length: AT_ONCE }, () => `S${made++}`))
  }
  await assertLevel(makeAndDelete, { mostBytes: STREAMS * 12, what: `${STREAMS} streams` })
  assert.equal([...view.streams()].length + [...view.leases()].length, 0)
})
