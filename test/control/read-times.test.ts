import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ControlBus } from '../../src/control/bus.ts'
import type { ControlRecordOf } from '../../src/control/control-records.ts'
import { followReadTimes } from '../../src/control/read-times.ts'
import type { Registry } from '../../src/control/registry.ts'

test('a lease was last read when somebody last said so; one that is unknown or gone is not kept', () => {
  let say: (heartbeat: ControlRecordOf<'HEARTBEAT'>) => void = () => {}
  let change: Parameters<Registry['watch']>[0] = () => {}
  let moment = 1_000
  const leases = new Set(['read', 'unread'])
  const { lastReadAt, note } = followReadTimes(
    { on: ((_kind, listener) => (say = listener as typeof say)) as ControlBus['on'] },
    {
      view: { leaseRecord: (id: string) => (leases.has(id) ? {} : undefined) } as Registry['view'],
      watch: (listener) => {
        change = listener
        return () => {}
      },
    },
    () => moment,
  )
  const heartbeat = (...reading: string[]): void =>
    say({ v: 1, kind: 'HEARTBEAT', instance: 'a', roles: [], reading, part: 0, parts: 1 })
  heartbeat('read', 'of another platform')
  moment = 3_000
  heartbeat('read')
  moment = 5_000
  heartbeat()
  assert.deepEqual(['read', 'unread', 'of another platform'].map(lastReadAt), [3_000, undefined, undefined])
  moment = 6_000
  note('read')
  note('of another platform')
  assert.deepEqual(['read', 'of another platform'].map(lastReadAt), [6_000, undefined])
  change({ kind: 'ended', leaseId: 'read', topic: 'app.1', reason: 'deleted' })
  assert.equal(lastReadAt('read'), undefined)
})
