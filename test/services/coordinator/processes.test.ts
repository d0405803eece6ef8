import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTROL_VERSION } from '../../../src/control/record-format.ts'
import { askForLease } from '../../../src/control/stream-desk.ts'
import { TapelineError, toTapelineError } from '../../../src/errors.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { NEVER, setUp, tradesOf } from './offices.ts'

type World = Awaited<ReturnType<typeof setUp>>
type Process = Awaited<ReturnType<World['start']>>

const ask = ({ desk }: Process, leaseId: string, symbol: string) =>
  desk.request({ leaseId, app: 'app', ...tradesOf(symbol) }, NEVER)

const isRegistryWrite = (entries: readonly { readonly topic: string }[]): boolean =>
  entries.some(({ topic }) => topic === NAMES.registry)

const epochsLed = (process: Process): number[] => {
  const epochs: number[] = []
  process.bus.on('NOTIFY_PRODUCER', ({ epoch }) => epochs.push(epoch))
  return epochs
}

/** Holds the next transactions of a process that are more than a claim, until they are let go. */
function holdWrites(process: Process) {
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const state = { isHeld: false, release }
  process.broker.beforeCommit = async (entries) => {
    if (!isRegistryWrite(entries)) return
    state.isHeld = true
    await held
  }
  return state
}

test('200 requests at once over two gateways for 50 specs: 50 topics, and each asker gets its own answer', async (t) => {
  const world = await setUp(t)
  const processes = [await world.start('a'), await world.start('b')]
  const leases = await Promise.all(
    Array.from({ length: 200 }, (_, n) =>
      ask(processes[n % 2] as Process, `lease-${n}`, `SYMBOL${n % 50}-USD`),
    ),
  )
  assert.equal(new Set(leases.map(({ topic }) => topic)).size, 50)
  assert.deepEqual(
    leases.map(({ id }) => id),
    Array.from({ length: 200 }, (_, n) => `lease-${n}`),
  )
  const topics = await world.broker.listTopics(NAMES.dynamic, NEVER)
  assert.equal(topics.length, 50)
  assert.deepEqual(
    processes.map(({ leader }) => leader.leading).filter(Boolean),
    [true],
    'one of the two leads',
  )
})

test('beyond what the platform has room for requests are refused by themselves, also those of one batch; standing streams have room', async (t) => {
  const world = await setUp(t, { limits: { maxStreams: 6, maxTopics: 4 } })
  const process = await world.start('a')
  const outcomes = await Promise.allSettled(
    ['A', 'B', 'C', 'D', 'E', 'F', 'A', 'A', 'A'].map((name, i) => ask(process, `lease-${i}`, `${name}-USD`)),
  )
  const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'made'))
  assert.equal(codes.filter((code) => code === 'made').length, 6, codes.join())
  assert.deepEqual(new Set(codes), new Set(['made', 'LIMIT_REACHED']))
  assert.equal(process.registry.view.counts.leases, 6)
  assert.equal(process.registry.view.counts.streams, 4)
  assert.equal((await ask(process, 'lease-0', 'A-USD')).id, 'lease-0', 'what is there is given again')
  const author = { v: CONTROL_VERSION, instance: 'a', requestId: 'standing-1', app: 'platform' } as const
  const asked = { leaseId: 'standing', standing: true, ...tradesOf('Z-USD') }
  const request = { ...author, kind: 'CREATE_TOPIC_REQUEST', ...asked } as const
  await askForLease(process.bus, request, process.registry, NEVER)
  assert.equal(process.registry.view.counts.leases, 7)
})

test('a topic that the broker will never make is refused by itself, and delays nobody', async (t) => {
  const world = await setUp(t)
  const process = await world.start('a')
  await ask(process, 'before', 'A-A')
  const made = process.broker.createTopics
  let refused: string | undefined
  process.broker.createTopics = async (specs, signal) => {
    refused ??= specs[0]?.name
    if (specs.every(({ name }) => name !== refused)) return made(specs, signal)
    throw new TapelineError('BROKER_REFUSED', 'a policy of the broker forbids it')
  }
  const outcomes = await Promise.allSettled(
    ['B-B', 'C-C', 'D-D'].map((symbol) => ask(process, symbol, symbol)),
  )
  const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'made'))
  assert.deepEqual(codes.toSorted(), ['BROKER_REFUSED', 'made', 'made'])
  assert.equal((await ask(process, 'after', 'E-E')).id, 'after')
})

test('a stream made or moved through one gateway is found through the other at once, a wrong id is not', async (t) => {
  const world = await setUp(t)
  const [first, second] = [await world.start('a'), await world.start('b', { coordinates: false })]
  for (let n = 0; n < 20; n++) {
    const lease = await ask(first, `lease-${n}`, `SYMBOL${n}-USD`)
    assert.equal((await second.desk.find(lease.id, NEVER))?.topic, lease.topic)
    const spec = { ...lease.spec, symbols: [`OTHER${n}-USD`] }
    const moved = await first.desk.move({ leaseId: lease.id, app: lease.app, spec, ttlMs: 0 }, NEVER)
    const found = await second.desk.find(lease.id, NEVER, ({ topic }) => topic !== lease.topic)
    assert.equal(found?.topic, moved.topic)
  }
  assert.equal(await second.desk.find('none', NEVER), undefined)
})

test('the leader dies: open requests are answered by the next one, and nothing is lost', async (t) => {
  const world = await setUp(t)
  const [first, second, gateway] = [
    await world.start('a'),
    await world.start('b'),
    await world.start('c', { coordinates: false }),
  ]
  await ask(gateway, 'before', 'A-USD')
  assert.equal(first.leader.leading, true)
  const writes = holdWrites(first)
  const open = [ask(gateway, 'open-1', 'B-USD'), ask(gateway, 'open-2', 'A-USD')]
  await until('the leader is in the middle of them', () => writes.isHeld)
  await first.broker.kill()
  const [one, two] = await Promise.all(open)
  assert.equal(second.leader.leading, true)
  assert.ok(one && two && one.topic !== two.topic)
  assert.equal(two.topic, gateway.desk.get('before')?.topic)
  writes.release()
})

test('a leader that stood still changes nothing when it goes on, and leads no more', async (t) => {
  const world = await setUp(t)
  const [first, second, gateway] = [
    await world.start('a'),
    await world.start('b'),
    await world.start('c', { coordinates: false }),
  ]
  await ask(gateway, 'before', 'A-USD')
  const writes = holdWrites(first)
  const asked = ask(gateway, 'lease', 'B-USD')
  await until('the leader is in the middle of it', () => writes.isHeld)
  await first.broker.freeze()
  const lease = await asked
  await gateway.desk.end('lease', 'app', NEVER)
  assert.equal(second.leader.leading, true)
  const epochs = epochsLed(gateway)
  const { epoch } = second.leader
  const state = () => [...gateway.registry.view.leases()].map(({ id }) => id)
  assert.deepEqual(state(), ['before'])

  writes.release()
  await first.broker.thaw()
  await until('it knows', () => first.machine?.report().state === 'active' && !first.leader.leading)
  await ask(gateway, 'after', 'C-USD')
  await gateway.registry.catchUp(NEVER)
  assert.deepEqual(state(), ['before', 'after'], 'what it had in hand is not done over what came since')
  assert.equal(second.leader.epoch, epoch, 'the leader leads on undisturbed')
  assert.ok(
    epochs.every((each) => each >= epoch),
    'nothing that it says is heard',
  )
  assert.notEqual(gateway.registry.view.stream(lease.topic), undefined)

  await second.broker.kill()
  await ask(gateway, 'last', 'D-USD')
  assert.equal(first.leader.leading, true)
  assert.deepEqual(state(), ['before', 'after', 'last'], 'nor when it leads again')
})

test('a write of unknown outcome: the leader leads anew, and the asker gets one lease', async (t) => {
  const world = await setUp(t)
  const [leader, gateway] = [await world.start('a'), await world.start('b', { coordinates: false })]
  await ask(gateway, 'before', 'A-USD')
  const { term } = leader.leader
  let failures = 3
  leader.broker.beforeCommit = async () => {
    if (failures-- > 0) throw new TapelineError('BROKER_UNAVAILABLE', 'the connection broke')
  }
  const lease = await ask(gateway, 'lease', 'B-USD')
  assert.ok(leader.leader.term > term)
  assert.deepEqual(
    [...gateway.registry.view.leases()].map(({ id }) => id),
    ['before', 'lease'],
  )
  const topics = await world.broker.listTopics(NAMES.dynamic, NEVER)
  assert.equal(topics.filter(({ name }) => name === lease.topic).length, 1)
})

test('what a former leader says under its epoch does not count, whoever hears it', async (t) => {
  const world = await setUp(t)
  const [process, gateway] = [await world.start('a'), await world.start('b', { coordinates: false })]
  await ask(gateway, 'before', 'A-USD')
  const heard: string[] = []
  gateway.bus.on('REPLY', ({ instance }) => heard.push(instance))
  gateway.bus.on('NOTIFY_PRODUCER', ({ instance }) => heard.push(instance))
  gateway.bus.on('NOTIFY_CONSUMER', ({ instance }) => heard.push(instance))
  const former = { v: 1, instance: 'former', epoch: process.leader.epoch - 1 } as const
  const news = { notificationId: 'n', registryOffset: 0, ready: [], ended: [] }
  await gateway.bus.send([
    { ...former, kind: 'REPLY', requestId: 'r', registryOffset: 0, failure: null },
    { ...former, kind: 'NOTIFY_PRODUCER', ...news },
    { ...former, kind: 'NOTIFY_CONSUMER', ...news },
    { v: 1, instance: 'another process', kind: 'REPLY', requestId: 'r', registryOffset: 0, failure: null },
  ])
  await until('they are read', () => heard.includes('another process'))
  assert.ok(!heard.includes('former'), `heard: ${heard}`)
})

test('a coordinator that does not lead is no error, and takes over what is left when the leader leaves politely', async (t) => {
  const world = await setUp(t)
  const [first, second] = [await world.start('a'), await world.start('b')]
  await ask(second, 'lease', 'A-USD')
  assert.deepEqual([first.leader.leading, second.leader.leading], [true, false])
  assert.deepEqual([second.machine?.report().state, second.machine?.report().errorInfo], ['active', null])
  await first.broker.freeze()
  await ask(second, 'next', 'A-USD')
  assert.equal(second.leader.leading, true)
})

test('the broker is away: registry, control topic and leader go on when it is back', async (t) => {
  const world = await setUp(t)
  const [leader, gateway] = [await world.start('a'), await world.start('b', { coordinates: false })]
  await ask(gateway, 'before', 'A-USD')
  for (const { broker } of [leader, gateway]) broker.isAway = true
  await until('the leader notices', () => leader.machine?.report().errorInfo?.code === 'BROKER_UNAVAILABLE')
  await assert.rejects(gateway.desk.end('before', 'app', AbortSignal.timeout(100)))
  for (const { broker } of [leader, gateway]) broker.isAway = false
  const lease = await ask(gateway, 'lease', 'B-USD')
  assert.equal(gateway.desk.get('lease')?.topic, lease.topic)
  await until('it has recovered', () => leader.machine?.report().state === 'active')
})

/** Calls back in front of each publish of a reply by a process; what it throws is thrown instead. */
function beforeReply(process: Process, work: () => Promise<void>): void {
  process.broker.beforePublish = async (entries) => {
    const bodies = entries.flatMap(({ records }) =>
      records.map(({ value }) => String(Buffer.from(value ?? []))),
    )
    if (bodies.some((body) => body.includes('"kind":"REPLY"'))) await work()
  }
}

test('answering who asked for a stream fails: the others are told of it all the same', async (t) => {
  const world = await setUp(t)
  const [leader, gateway] = [await world.start('a'), await world.start('b', { coordinates: false })]
  await ask(gateway, 'before', 'A-USD')
  const told: string[] = []
  gateway.bus.on('NOTIFY_PRODUCER', ({ ready }) => told.push(...ready))
  let failures = 2
  beforeReply(leader, async () => {
    if (failures-- > 0) throw new TapelineError('BROKER_UNAVAILABLE', 'the connection broke')
  })
  const lease = await ask(gateway, 'lease', 'B-USD')
  await until('producers are told', () => told.includes(lease.topic))
})

test('the leader dies between the result and its answer: the asker sees the result, and so does who asks again', async (t) => {
  const world = await setUp(t)
  const [first, second, gateway] = [
    await world.start('a'),
    await world.start('b'),
    await world.start('c', { coordinates: false }),
  ]
  await ask(gateway, 'lease', 'A-USD')
  beforeReply(first, () => first.broker.kill())
  await gateway.desk.end('lease', 'app', AbortSignal.timeout(5_000))
  await gateway.desk.end('lease', 'app', NEVER)
  assert.equal(second.leader.leading, true)
  await assert.rejects(gateway.desk.end('lease', 'others', NEVER), { code: 'STREAM_UNKNOWN' })
  await assert.rejects(gateway.desk.end('none', 'app', NEVER), { code: 'STREAM_UNKNOWN' })
})

test('a request that no record of the registry can hold is refused, and the others of its batch are served', async (t) => {
  const world = await setUp(t)
  const process = await world.start('a')
  await ask(process, 'before', 'A-USD')
  const symbols = Array.from({ length: 60_000 }, (_, n) => `S${String(n).padStart(7, '0')}-USD`)
  const large = { channel: 'trade', symbols, exchanges: [] } as const
  const [refused, served] = await Promise.allSettled([
    process.desk.request({ leaseId: 'large', app: 'app', spec: large, ttlMs: 0 }, NEVER),
    ask(process, 'small', 'B-USD'),
  ])
  assert.equal(refused.status === 'rejected' && toTapelineError(refused.reason).code, 'RECORD_TOO_LARGE')
  assert.equal(served.status, 'fulfilled')
  assert.equal(process.machine?.report().errorInfo, null)
})
