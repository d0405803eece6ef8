import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeDeadLetter } from '../../../src/control/dead-letter-records.ts'
import { spoilEmbedded } from '../../adapters/broker/spoil-embedded.ts'
import { temporaryFolder } from '../../adapters/broker/temporary-folder.ts'
import { readToEnd } from '../../contract/broker-fixtures.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { PARTITIONS, setUp, TOPICS, tradeRecord } from './consumers.ts'

test('a batch that nobody can read is one dead letter and one gap, and everything beside it is stored', async (t) => {
  const folder = await temporaryFolder(t)
  const world = await setUp(t, { folder })
  await world.publish(40)
  const signal = AbortSignal.timeout(20_000)
  const spoilt = Array.from({ length: 3 }, (_, i) => tradeRecord(1, `spoilt-${i}`))
  const [ack] = await world.broker.publish([{ topic: TOPICS.trade, partition: 1, records: spoilt }], signal)
  assert.ok(ack)
  await world.publish(40)
  spoilEmbedded(folder, 'spoilt-2')

  const first = await world.start()
  await until('all others are stored', () => world.store.tradeIds.length >= 80)
  assert.deepEqual(world.store.tradeIds.toSorted(), world.published.toSorted())
  const place = `${ack.baseOffset} to ${ack.baseOffset + 2} of ${TOPICS.trade}:1`
  assert.equal(world.store.details.length, 1)
  assert.match(world.store.details[0] ?? '', new RegExp(`offsets ${place} cannot be read`))
  assert.deepEqual(world.store.causes, ['retention'])
  const alerts = first.alerts.list().map(({ id, code }) => [id, code])
  assert.deepEqual(alerts, [
    [`undecodable:${TOPICS.trade}:1`, 'BATCH_UNDECODABLE'],
    ['dead-letters', 'DEAD_LETTERS'],
  ])

  const letters = (await readToEnd(world.broker, NAMES.deadLetters, 0)).map(decodeDeadLetter)
  const ids = new Set(letters.map(({ topic, partition, offset }) => `${topic}:${partition}:${offset}`))
  assert.deepEqual(
    [...ids],
    [`${TOPICS.trade}:1:${ack.baseOffset}`],
    'a batch done again writes the same letter',
  )
  const [letter] = letters
  assert.ok(letter !== undefined && 'bytes' in letter)
  assert.equal(letter.code, 'BATCH_UNDECODABLE')
  const bytes = Buffer.from(letter.bytes, 'base64')
  assert.equal(bytes.length, letter.size)
  for (let i = 0; i < 3; i++) assert.ok(bytes.includes(`poilt-${i}`), 'its bytes are all there')

  // What comes later, and whoever comes later, goes on after it.
  await first.leave()
  await world.publish(40)
  await world.start()
  await until('the rest is stored', () => world.store.tradeIds.length >= 120)
  assert.deepEqual(world.store.tradeIds.toSorted(), world.published.toSorted())
  assert.equal(world.store.details.length, 1)
  assert.equal(world.store.nextOffset(TOPICS.trade, 1), 3 + (120 * 1) / PARTITIONS)
})
