import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tellActors } from '../../../src/services/coordinator/notify.ts'
import { quietLog } from '../../quiet.ts'
import { openOffice } from './office.ts'
import { NEVER } from './offices.ts'

const member = (instance: string, ...roles: readonly string[]) => ({
  instance,
  roles,
  reading: [],
  lastSeen: 0,
})

/** An office that leads, and what it logs. */
async function setUp(t: Parameters<typeof openOffice>[0]) {
  const office = await openOffice(t)
  await office.lead()
  const missing: unknown[] = []
  const debug = (fields: object): void => {
    if ('missing' in fields) missing.push(fields.missing)
  }
  const parts = { ...office.parts, log: { ...quietLog, debug } }
  const acknowledge = (notificationId: string, instance: string, role: string) =>
    office.bus.send([{ v: 1, kind: 'ACKNOWLEDGE', instance, notificationId, role }])
  return { ...office, parts, missing, acknowledge }
}

test('producers and consumers are told which streams changed, by whom, and how far the registry is', async (t) => {
  const { parts, sent, leader, registry } = await setUp(t)
  await tellActors(parts, 'ready', ['a', 'b'], NEVER)
  await tellActors(parts, 'ended', ['c'], NEVER)
  const common = { v: 1, instance: 'me', epoch: leader.epoch, registryOffset: registry.view.nextOffset }
  assert.deepEqual(
    sent,
    [
      { notificationId: 'id1', ready: ['a', 'b'], ended: [] },
      { notificationId: 'id2', ready: [], ended: ['c'] },
    ].flatMap((each) => ['NOTIFY_PRODUCER', 'NOTIFY_CONSUMER'].map((kind) => ({ ...common, ...each, kind }))),
  )
})

test('it waits until all live producers and gateways have acknowledged, and for nobody else', async (t) => {
  const { parts, members, missing, bus, acknowledge } = await setUp(t)
  members.push(member('p', 'producer', 'consumer-fixed'), member('g', 'gateway'), member('c', 'coordinator'))
  bus.on('NOTIFY_CONSUMER', ({ notificationId }) => {
    void acknowledge('another', 'p', 'producer')
    void acknowledge(notificationId, 'p', 'producer').then(() => acknowledge(notificationId, 'g', 'gateway'))
  })
  await tellActors(parts, 'ready', ['a'], NEVER)
  assert.deepEqual(missing, [])
})

test('an acknowledgement that does not come is told, and is no failure', async (t) => {
  const { parts, members, missing, bus, acknowledge } = await setUp(t)
  members.push(member('p', 'producer'), member('g', 'gateway'))
  bus.on('NOTIFY_PRODUCER', ({ notificationId }) => void acknowledge(notificationId, 'p', 'producer'))
  await tellActors(parts, 'ready', ['a'], NEVER)
  assert.deepEqual(missing, [['g/gateway']])
})
