import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import { until } from '../until.ts'
import { NEVER, setUp, TOPICS, tradeRecord } from './consumers.ts'

/** A call that is never answered: it ends with its signal only. */
const stall = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

/** Ends what needs the broker when told, as the watch of a process does. */
function createOutage() {
  let outage: TapelineError | undefined
  const underWay = new Set<AbortController>()
  return {
    async duringBroker<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
      if (outage) throw outage
      const either = new AbortController()
      signal.addEventListener('abort', () => either.abort(signal.reason), { once: true })
      underWay.add(either)
      try {
        return await work(either.signal)
      } finally {
        underWay.delete(either)
      }
    },
    begin(): void {
      outage = new TapelineError('BROKER_UNAVAILABLE', 'the broker does not answer')
      for (const each of underWay) each.abort(outage)
    },
    end(): void {
      outage = undefined
    },
  }
}

test('an outage of the broker ends a claim in the middle of a write, and what is held is stored all the same', async (t) => {
  const { store, published, publish, start } = await setUp(t)
  const outage = createOutage()
  const { broker, machine } = await start(outage)
  await publish(50)
  await until('all is stored', () => store.tradeIds.length === 50)
  const { describeTopics } = broker
  let asked = 0
  broker.describeTopics = (_names, signal) => {
    asked++
    return stall(signal)
  }
  // Nobody knows what became of a write: its partitions are claimed anew before the next one.
  store.after = async () => {
    store.after = async () => {}
    throw new TapelineError('STORE_UNAVAILABLE', 'the answer was lost')
  }
  await publish(50)
  await until('it claims anew', () => asked > 0)
  outage.begin()
  await until('the machine says so', () => machine.report().errorInfo?.code === 'BROKER_UNAVAILABLE')
  assert.equal(machine.report().state, 'error')
  broker.describeTopics = describeTopics
  outage.end()
  await until('all is stored', () => store.tradeIds.length === 100)
  assert.deepEqual(store.tradeIds.toSorted(), published.toSorted())
})

test('an outage of the broker ends the wait for a dead letter that nobody acknowledges', async (t) => {
  const world = await setUp(t)
  const outage = createOutage()
  const { broker, machine } = await world.start(outage)
  let isStalled = true
  let letters = 0
  const { publish } = broker
  broker.publish = (entries, signal) => {
    letters++
    return isStalled ? stall(signal) : publish(entries, signal)
  }
  const bad = { ...tradeRecord(0, 'bad'), value: Buffer.from('{}') }
  await world.broker.publish(
    [{ topic: TOPICS.trade, partition: 0, records: [bad, tradeRecord(0, 'good')] }],
    NEVER,
  )
  await until('it keeps the record', () => letters > 0)
  outage.begin()
  await until('the machine says so', () => machine.report().errorInfo?.code === 'BROKER_UNAVAILABLE')
  isStalled = false
  outage.end()
  await until('the other record is stored', () => world.store.tradeIds.includes('good'))
})

test('a write under claims that are held goes on while the broker is away', async (t) => {
  const { store, publish, start } = await setUp(t)
  const outage = createOutage()
  const { machine } = await start(outage)
  const writing = Promise.withResolvers<void>()
  store.before = async () => {
    outage.begin()
    await writing.promise
  }
  await publish(20)
  await until('it writes', () => machine.report().state === 'writingToDB')
  writing.resolve()
  await until('it is stored', () => store.tradeIds.length > 0)
  outage.end()
  await until('all is stored', () => store.tradeIds.length === 20)
})
