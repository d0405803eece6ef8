import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ControlBus } from '../../../src/control/bus.ts'
import type { ControlRecord, ControlRecordOf } from '../../../src/control/control-records.ts'
import type { Registry } from '../../../src/control/registry.ts'
import { RegistryView } from '../../../src/control/registry-view.ts'
import type { StreamRequest } from '../../../src/domain/stream-spec.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { LeaseChange } from '../../../src/ports/streams.ts'
import type { ProducerParts } from '../../../src/services/producer/parts.ts'
import { createStandingStreams } from '../../../src/services/producer/standing.ts'
import { NAMES } from '../../names.ts'
import { quietLog } from '../../quiet.ts'
import { streamRecord } from './routed-streams.ts'

const NEVER = new AbortController().signal
const NAME = 'bitcoin'
const TAILORED = { where: 'size >= 1', fields: ['exchange', 'symbol', 'size', 'ts'] }
const ASKED: StreamRequest = {
  spec: { channel: 'trade', symbols: ['BTC-*'], exchanges: [], ...TAILORED },
  ttlMs: 0,
}

/** A producer with one standing stream, and a coordinator that answers as the test says. */
function setUp(answer: (record: ControlRecord) => { code: string } | undefined = () => undefined) {
  const view = new RegistryView(NAMES.leaderId)
  const clock = { ms: 0 }
  const sent: ControlRecord[] = []
  const warned: string[] = []
  let isAway = false
  let ids = 0
  const listeners = new Set<(change: LeaseChange) => void>()
  const bus = {
    async send(records: readonly ControlRecord[]) {
      sent.push(...records)
    },
    async first(_kind: 'REPLY', fits: (record: ControlRecordOf<'REPLY'>) => boolean) {
      await undefined
      // As a request that nobody answers in time.
      if (isAway) throw new TapelineError('CONTROL_UNAVAILABLE', 'nobody answers')
      const request = sent.findLast((record) => 'requestId' in record)
      assert.ok(request !== undefined && 'requestId' in request)
      const refused = answer(request)
      const failure = refused ? { code: refused.code, message: 'refused' } : null
      const reply = {
        v: 1,
        kind: 'REPLY',
        instance: 'c',
        requestId: request.requestId,
        registryOffset: 0,
        failure,
      }
      assert.ok(fits(reply as ControlRecordOf<'REPLY'>))
      return reply
    },
  } as unknown as ControlBus
  const registry = {
    view,
    reached: async () => {},
    watch(listener: (change: LeaseChange) => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  } as unknown as Registry
  const streams = createStandingStreams({
    ...{ registry, bus, instance: 'p', standing: new Map([[NAME, ASKED]]), newId: () => `id${++ids}` },
    ...{ now: () => clock.ms, log: { ...quietLog, warn: (_fields, text) => warned.push(text ?? '') } },
  } satisfies Partial<ProducerParts> as Partial<ProducerParts> as ProducerParts)
  return {
    ...{ clock, sent, warned, listeners },
    create: () => streams.create(NAME, NEVER),
    stand: () => streams.stand(),
    loseCoordinator(lost: boolean) {
      isAway = lost
    },
    /** The registry has the stream, for these symbols. */
    register(symbols: readonly string[]) {
      view.apply(view.nextOffset, 'stream:s', streamRecord({ id: 's', symbols, ...TAILORED }))
      view.apply(view.nextOffset, `lease:${NAME}`, {
        ...{ v: 1, instance: 'c', epoch: 1, kind: 'lease', id: NAME, state: 'live', reason: '' },
        ...{ app: 'standing', streamId: 's', ttlMs: 0, standing: true, opensTopic: true, createdAt: 0 },
      })
    },
  }
}

const kinds = (sent: readonly ControlRecord[]): string[] => sent.map(({ kind }) => kind)

test('a stream of the configuration is asked for under its name, for ever', async () => {
  const { create, sent, listeners } = setUp()
  assert.deepEqual(await create(), { topicName: NAME, outcome: 'created' })
  assert.deepEqual(sent, [
    {
      ...{
        v: 1,
        instance: 'p',
        kind: 'CREATE_TOPIC_REQUEST',
        requestId: 'id1',
        leaseId: NAME,
        app: 'standing',
      },
      ...{ spec: ASKED.spec, ttlMs: 0, standing: true },
    },
  ])
  assert.equal(listeners.size, 0, 'nothing listens any more')
})

test('one that stands is not asked for, and one of another spec is ended first', async () => {
  const { create, register, sent } = setUp()
  register(['BTC-*'])
  assert.deepEqual(await create(), { topicName: NAME, outcome: 'created' })
  assert.deepEqual(sent, [])
  register(['ETH-*'])
  await create()
  assert.deepEqual(kinds(sent), ['END_LEASE_REQUEST', 'CREATE_TOPIC_REQUEST'])
})

test('a request without an answer stays open, and keeps its id until it is answered', async () => {
  const { create, sent, loseCoordinator } = setUp()
  loseCoordinator(true)
  assert.deepEqual(await create(), { topicName: NAME, outcome: 'open' })
  await create()
  loseCoordinator(false)
  await create()
  await create()
  assert.deepEqual(
    sent.map((record) => 'requestId' in record && record.requestId),
    ['id1', 'id1', 'id1', 'id2'],
  )
})

test('what the coordinator refuses is raised, and so is a name that the configuration does not have', async () => {
  const { create } = setUp(() => ({ code: 'STREAM_LIMIT' }))
  await assert.rejects(create(), { code: 'STREAM_LIMIT' })
  const streams = createStandingStreams({ standing: new Map() } as Partial<ProducerParts> as ProducerParts)
  await assert.rejects(streams.create('nobody', NEVER), { code: 'STREAM_UNKNOWN' })
})

test('data waits for standing streams until they stand, or for ten seconds, which is told', () => {
  const { stand, register, clock, warned } = setUp()
  assert.equal(stand(), false)
  clock.ms = 9_999
  assert.equal(stand(), false)
  register(['ETH-*'])
  assert.equal(stand(), false, 'it is another one')
  register(['BTC-*'])
  assert.deepEqual([stand(), warned], [true, []])
  const late = setUp()
  assert.equal(late.stand(), false)
  late.clock.ms = 10_000
  assert.deepEqual([late.stand(), late.warned.length], [true, 1])
  assert.deepEqual([late.stand(), late.warned.length], [true, 1], 'once')
})
