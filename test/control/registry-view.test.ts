import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LeaseRecord, RegistryRecord, StreamRecord } from '../../src/control/registry-records.ts'
import { RegistryView } from '../../src/control/registry-view.ts'
import { NAMES } from '../names.ts'

const author = { v: 1, instance: 'i', epoch: 5 } as const
const spec = { channel: 'trade' as const, symbols: ['*'], exchanges: [] }
const stream = (change: Partial<StreamRecord> = {}): StreamRecord => ({
  ...author,
  kind: 'stream',
  id: 's',
  state: 'ready',
  topic: 'app.s',
  topicId: 'T',
  spec,
  start: [0],
  createdAt: 1,
  ...change,
})
const lease = (change: Partial<LeaseRecord> = {}): LeaseRecord => ({
  ...author,
  kind: 'lease',
  id: 'l',
  state: 'live',
  reason: '',
  app: 'a',
  streamId: 's',
  ttlMs: 0,
  standing: false,
  opensTopic: false,
  createdAt: 2,
  ...change,
})

function fold(...records: readonly RegistryRecord[]): RegistryView {
  const view = new RegistryView(NAMES.leaderId)
  records.forEach((record, offset) => {
    view.apply(offset, null, record)
  })
  return view
}

describe('the view of the registry', () => {
  test('a lease can be used once its stream is ready', () => {
    assert.equal(fold(stream({ state: 'creating' }), lease()).lease('l'), undefined)
    const { topic, app } = fold(stream(), lease()).lease('l') ?? {}
    assert.deepEqual([topic, app], ['app.s', 'a'])
  })

  test('an equal spec finds its stream until that is ending', () => {
    assert.equal(fold(stream()).streamOf(spec)?.id, 's')
    assert.equal(fold(stream(), stream({ state: 'ending' })).streamOf(spec), undefined)
    const successor = fold(stream(), stream({ state: 'ending' }), stream({ id: 's2', topic: 'app.s2' }))
    successor.apply(9, 'stream:s', null)
    assert.equal(successor.streamOf(spec)?.id, 's2')
  })

  test('leases are counted by stream, and ended ones are gone', () => {
    const view = fold(stream(), lease(), lease({ id: 'm' }), lease({ state: 'ended', reason: 'deleted' }))
    assert.equal(view.leaseCount('s'), 1)
    assert.equal(view.lease('l'), undefined)
  })

  test('what a former leader writes after a later one is ignored', () => {
    const view = fold(
      stream(),
      lease(),
      lease({ id: 'zombie', epoch: 4 }),
      stream({ state: 'ending', epoch: 4 }),
    )
    assert.equal(view.lease('zombie'), undefined)
    assert.equal(view.stream('s')?.state, 'ready')
  })

  test("the leader's position is remembered, and the next offset follows every record", () => {
    const view = fold(stream(), { ...author, kind: 'leader', controlOffset: 42 })
    assert.equal(view.controlOffset, 42)
    assert.equal(view.nextOffset, 2)
  })
})
