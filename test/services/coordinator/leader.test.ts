import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimOwnership } from '../../../src/control/claim.ts'
import { platformNames } from '../../../src/control/names.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { TapelineError } from '../../../src/errors.ts'
import { createLeader, type RegistryBody } from '../../../src/services/coordinator/leader.ts'
import { NAMES } from '../../names.ts'
import { quietLog } from '../../quiet.ts'
import { openOffice } from './office.ts'
import { NEVER } from './offices.ts'

const STREAM: RegistryBody = {
  ...{ kind: 'stream', id: 's', state: 'ready', topic: 'app.s', topicId: 'T' },
  ...{ spec: { channel: 'trade', symbols: ['*'], exchanges: [] }, start: [0, 0], createdAt: 0 },
}

test('whom the group gives the registry leads, and writes what everybody reads', async (t) => {
  const { leader, lead, registry } = await openOffice(t)
  assert.deepEqual([leader.leading, leader.term], [false, 0])
  await lead()
  assert.deepEqual([leader.leading, leader.term], [true, 1])
  assert.equal(registry.view.leaderEpoch, leader.epoch)
  const { prefix, dynamicPrefix } = NAMES
  assert.deepEqual(
    registry.view.prefixes,
    { prefix, dynamicPrefix },
    'it says which topics are the platform’s',
  )
  const end = await leader.write([STREAM], [], NEVER)
  assert.equal(registry.view.stream('s')?.topic, 'app.s')
  assert.ok(registry.view.nextOffset >= end)
  assert.equal(await leader.lead(NEVER), true)
  assert.equal(leader.term, 1, 'it goes on to lead')
})

test('a process of another platform that began under the same control topics does not lead', async (t) => {
  const { leader, lead, broker } = await openOffice(t)
  const names = platformNames({ prefix: 'theirs', dynamicPrefix: 'app', controlPrefix: 'tapeline' })
  const registry = await openRegistry(broker, names, quietLog, NEVER)
  t.after(() => registry.close())
  const parts = { broker, names, registry, instance: 'other', now: Date.now, log: quietLog }
  const other = createLeader(parts)
  await lead()
  await registry.catchUp(NEVER)
  await assert.rejects(other.lead(NEVER), { code: 'PREFIX_TAKEN' })
  assert.equal(registry.view.prefixes.prefix, NAMES.prefix)
  assert.equal(await leader.lead(NEVER), true)
})

test('whoever does not lead writes nothing', async (t) => {
  const { leader, registry } = await openOffice(t)
  await assert.rejects(leader.write([STREAM], [], NEVER), { code: 'FENCED' })
  assert.throws(() => leader.epoch, { code: 'FENCED' })
  assert.equal(registry.view.stream('s'), undefined)
})

test('another process that took over ends the leadership, for a while', async (t) => {
  const { leader, lead, broker, registry, clock } = await openOffice(t)
  await lead()
  const other = await claimOwnership(broker, NAMES, NAMES.leaderId, 'other', 0, NEVER)
  await assert.rejects(leader.write([STREAM], [], NEVER), { code: 'FENCED' })
  assert.deepEqual([leader.leading, await leader.lead(NEVER)], [false, false])
  clock.ms += 10_000
  assert.equal(
    await leader.lead(NEVER),
    true,
    'the group still gives it to this one: the other was the stale one',
  )
  assert.equal(leader.term, 2)
  assert.ok(leader.epoch > other.epoch)
  await leader.write([STREAM], [], NEVER)
  assert.ok(registry.view.stream('s'))
})

test('after a write of unknown outcome it claims the leadership anew before the next one', async (t) => {
  const { leader, lead, broker } = await openOffice(t)
  const { takeOver } = broker
  let isBroken = false
  broker.takeOver = async (...call) => {
    const writer = await takeOver.apply(broker, call)
    const { commit } = writer
    return Object.assign(writer, {
      commit: async (...entries: Parameters<typeof commit>) => {
        const acks = await commit(...entries)
        if (isBroken) throw new TapelineError('TIMEOUT', 'no answer came')
        return acks
      },
    })
  }
  await lead()
  const { epoch } = leader
  isBroken = true
  await assert.rejects(leader.write([STREAM], [], NEVER), { code: 'TIMEOUT' })
  isBroken = false
  assert.equal(leader.leading, false)
  assert.equal(await leader.lead(NEVER), true)
  assert.deepEqual([leader.term, leader.epoch > epoch], [2, true])
})

test('a process that does not understand the registry leaves the leadership to others', async (t) => {
  const { leader, lead, broker, registry } = await openOffice(t)
  await lead()
  const value = Buffer.from('{"v":99,"kind":"stream"}')
  const record = { key: 'stream:new', value, headers: { v: 99, kind: 'control' } } as const
  const [ack] = await broker.publish([{ topic: NAMES.registry, partition: 0, records: [record] }], NEVER)
  await registry.reached((ack?.baseOffset ?? 0) + 1, NEVER)
  await assert.rejects(leader.lead(NEVER), { code: 'UPGRADE_NEEDED' })
  assert.equal(leader.leading, false)
})
