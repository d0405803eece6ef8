import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { controlEntry, decodeControl } from '../../src/control/control-records.ts'
import { decodeRegistry, registryEntry } from '../../src/control/registry-records.ts'
import { RegistryView } from '../../src/control/registry-view.ts'
import { NAMES } from '../names.ts'

const spec = { channel: 'trade', symbols: ['*'], exchanges: [] }
const stream = {
  ...{ v: 1, instance: 'i', epoch: 0, kind: 'stream', id: 'app.s', state: 'ready', topic: 'app.s' },
  ...{ topicId: 'T', spec, start: [0], createdAt: 1 },
}
const lease = {
  ...{ v: 1, instance: 'i', epoch: 0, kind: 'lease', id: 'l', state: 'live', reason: '', app: 'a' },
  ...{ streamId: 'app.s', ttlMs: 0, standing: false, opensTopic: true, createdAt: 1 },
}
const request = {
  ...{ v: 1, instance: 'i', kind: 'CREATE_TOPIC_REQUEST', requestId: 'r', leaseId: 'l', app: 'a' },
  ...{ spec, ttlMs: 0, standing: false },
}
const bytes = (body: unknown): Uint8Array => Buffer.from(JSON.stringify(body))
const isUpgrade = { code: 'UPGRADE_NEEDED', retryable: true }

describe('records that this process does not understand', () => {
  const newer: Readonly<Record<string, unknown>> = {
    'a higher version': { ...stream, v: 99 },
    'an unknown field of a spec': { ...stream, spec: { ...spec, colour: 'blue' } },
    'a filter that this process cannot compile': { ...stream, spec: { ...spec, where: 'size.round() > 1' } },
    'a field that this process does not have': { ...stream, spec: { ...spec, fields: ['venue'] } },
    'an unknown channel': { ...stream, spec: { ...spec, channel: 'funding' } },
    'an unknown state': { ...stream, state: 'moving' },
    'an unknown kind': { ...stream, kind: 'key' },
    'no version': { ...stream, v: undefined },
    'a list': [stream],
  }
  for (const [what, body] of Object.entries(newer))
    test(`the registry: ${what}`, () => assert.throws(() => decodeRegistry(bytes(body)), isUpgrade))
  test('the registry: no JSON', () => assert.throws(() => decodeRegistry(Buffer.from([0xff, 0])), isUpgrade))
  test('the control topic', () => {
    assert.throws(() => decodeControl(bytes({ ...request, v: 99 })), isUpgrade)
    assert.throws(() => decodeControl(bytes({ ...request, spec: { ...spec, colour: 'blue' } })), isUpgrade)
    assert.throws(() => decodeControl(bytes({ ...request, kind: 'PATCH_LEASE_REQUEST' })), isUpgrade)
  })

  for (const [what, { needs, ...wish }] of Object.entries({
    'a filter': { needs: 2, where: 'size > 1' },
    fields: { needs: 2, fields: ['exchange', 'symbol', 'price', 'ts'] },
    'the latest event of a period': { needs: 3, every: '1s', lateness: '250ms' },
    candles: { needs: 3, interval: '1m', lateness: '2s', empty: true },
  }))
    test(`${what}: records of such streams, and only these, are for processes that know it`, () => {
      const versionOf = ({ value }: { value: Uint8Array | null }): unknown =>
        JSON.parse(Buffer.from(value ?? []).toString()).v
      const wished = { ...stream, spec: { ...spec, ...wish } }
      const records = [stream, lease, wished].map((body) => registryEntry(decodeRegistry(bytes(body))))
      assert.deepEqual(records.map(versionOf), [1, 1, needs])
      const asked = [request, { ...request, spec: { ...spec, ...wish } }].map((body) =>
        controlEntry(decodeControl(bytes(body))),
      )
      assert.deepEqual(asked.map(versionOf), [1, needs])
      assert.deepEqual((decodeRegistry(records[2]?.value ?? bytes(0)) as { spec: object }).spec, wished.spec)
    })

  test('a backfill of candles, and only that, is for processes that know it: others would publish trades', () => {
    const backfill = {
      ...{ v: 1, instance: 'i', kind: 'BACKFILL_REQUEST', requestId: 'r', exchange: 'x', symbol: 'A-B' },
      ...{ from: 0, to: 1, gaps: [] },
    }
    const wrote = (body: object) =>
      JSON.parse(Buffer.from(controlEntry(decodeControl(bytes(body))).value ?? []).toString())
    assert.deepEqual(wrote(backfill), { ...backfill, channel: 'trade' }, 'one of trades as ever')
    assert.equal(wrote({ ...backfill, channel: 'candle' }).v, 5)
    assert.throws(() => decodeControl(bytes({ ...backfill, channel: 'quote' })), isUpgrade)
  })

  test('a field that a newer version added beside the spec, without a new version, is passed over', () => {
    assert.deepEqual(decodeRegistry(bytes({ ...stream, colour: 'blue' })), stream)
    assert.deepEqual(decodeRegistry(bytes({ ...lease, colour: 'blue' })), lease)
  })

  test('a heartbeat counts though what it reports is of another shape', () => {
    const heartbeat = { v: 1, instance: 'i', kind: 'HEARTBEAT', roles: ['gateway'], reading: ['l'] }
    assert.deepEqual(decodeControl(bytes({ ...heartbeat, report: { actors: [{ machine: 'new' }] } })), {
      ...heartbeat,
      ...{ part: 0, parts: 1, report: undefined },
    })
  })
})

describe('the view of a registry with such records', () => {
  const fold = (...bodies: readonly (object | string | null)[]) => {
    const view = new RegistryView(NAMES.leaderId)
    const withheld = bodies.map((body, offset) => {
      if (typeof body === 'string') return view.withhold(offset, body, 'newer').map(({ id }) => id)
      const key =
        body === null ? 'stream:app.s' : 'kind' in body && body.kind === 'lease' ? 'lease:l' : 'stream:app.s'
      view.apply(offset, key, body === null ? null : decodeRegistry(bytes(body)))
      return []
    })
    return { view, withheld: withheld.flat() }
  }

  test('nothing of a stream is served from what was known before', () => {
    const { view, withheld } = fold(stream, lease, 'stream:app.s')
    assert.deepEqual(withheld, ['l'])
    assert.equal(view.stream('app.s'), undefined)
    assert.equal(view.streamOf({ channel: 'trade', symbols: ['*'], exchanges: [] }), undefined)
    assert.equal(view.lease('l'), undefined)
    assert.deepEqual(view.withheld('l'), { offset: 2, reason: 'newer' })
    assert.deepEqual([...view.unreadableStreams()], [{ id: 'app.s', offset: 2, reason: 'newer' }])
  })

  test('nor of a lease', () => {
    const { view, withheld } = fold(stream, lease, 'lease:l')
    assert.deepEqual(withheld, ['l'])
    assert.equal(view.lease('l'), undefined)
    assert.deepEqual(view.withheld('l'), { offset: 2, reason: 'newer' })
    assert.equal(view.withheld('another'), undefined)
  })

  test('it is served again when a record that is understood takes its place, and gone with a tombstone', () => {
    const again = fold(stream, lease, 'stream:app.s', stream)
    assert.equal(again.view.lease('l')?.topic, 'app.s')
    assert.equal(again.view.unreadable.size, 0)
    const gone = fold(stream, 'stream:app.s', null)
    assert.equal(gone.view.unreadable.size, 0)
    assert.equal(gone.view.stream('app.s'), undefined)
  })

  test('a claim of the leadership counts by its offset, whatever else it says', () => {
    assert.equal(fold(stream, `claim:${NAMES.leaderId}`).view.leaderEpoch, 1)
  })

  test('a batch without a key that can be read stays', () => {
    const view = new RegistryView(NAMES.leaderId)
    view.withhold(4, null, 'its checksum is wrong')
    assert.deepEqual([...view.unreadable], [['offset:4', { offset: 4, reason: 'its checksum is wrong' }]])
    assert.equal(view.knownTo, 4, 'what got ready behind it may not be known')
    assert.deepEqual(view.withheld('of-which-nothing-is-known')?.offset, 4)
    assert.equal(view.nextOffset, 5)
  })
})
