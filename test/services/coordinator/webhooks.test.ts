import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createWebhookDesk } from '../../../src/control/webhook-desk.ts'
import type { WebhookRequest } from '../../../src/ports/webhooks.ts'
import { NAMES } from '../../names.ts'
import { until } from '../until.ts'
import { NEVER, setUp, tradesOf } from './offices.ts'

const APP = 'app'

/** Two processes; the coordinator of the first leads, the other asks. */
async function openOffices(t: TestContext) {
  const world = await setUp(t)
  const first = await world.start('a')
  const second = await world.start('b')
  const { broker, bus, registry, desk } = second
  const lease = await desk.request({ leaseId: 'lease', app: APP, ...tradesOf('BTC-USD') }, NEVER)
  const webhooks = createWebhookDesk({
    ...{ instance: 'b', broker, names: NAMES, bus, registry, newId: world.newId },
  })
  const request: WebhookRequest = {
    ...{ app: APP, leaseId: lease.id, url: 'https://example.com/hook', secret: 'whsec_c2VjcmV0' },
    ...{ maxEvents: 100, maxWaitMs: 1_000, cursor: 'cursor' },
  }
  return { ...world, first, second, desk, webhooks, request }
}

test('a webhook is made, paused, resumed and ended, and every process sees it', async (t) => {
  const { webhooks, request, first } = await openOffices(t)
  const made = await webhooks.create('hook', request, NEVER)
  const { secret: _secret, cursor: _cursor, ...asked } = request
  assert.deepEqual(made, {
    ...asked,
    ...{ id: 'hook', createdAt: made.createdAt, state: 'active', failure: null, deliveredAt: null },
  })
  await webhooks.create('hook', request, NEVER)
  assert.deepEqual(await webhooks.list(undefined, NEVER), [made])
  assert.deepEqual(await webhooks.list('other', NEVER), [])
  await webhooks.change('hook', APP, 'pause', NEVER)
  assert.equal((await webhooks.find('hook', NEVER))?.state, 'paused')
  await webhooks.change('hook', APP, 'resume', NEVER)
  assert.equal((await webhooks.find('hook', NEVER))?.state, 'active')
  await until('the other process has it', () => first.registry.view.webhook('hook')?.revision === 2)
  await webhooks.change('hook', APP, 'end', NEVER)
  assert.equal(await webhooks.find('hook', NEVER), undefined)
  await until('the other process has it no longer', () => first.registry.view.webhook('hook') === undefined)
  // Who did not get the answer asks again.
  await webhooks.change('hook', APP, 'end', NEVER)
  await assert.rejects(webhooks.change('hook', 'other', 'end', NEVER), { code: 'WEBHOOK_UNKNOWN' })
  await assert.rejects(webhooks.change('hook', APP, 'pause', NEVER), { code: 'WEBHOOK_UNKNOWN' })
})

test('webhooks belong to their application, and are bounded', async (t) => {
  const { webhooks, request } = await openOffices(t)
  await assert.rejects(webhooks.create('x', { ...request, app: 'other' }, NEVER), { code: 'STREAM_UNKNOWN' })
  await assert.rejects(webhooks.create('x', { ...request, leaseId: 'none' }, NEVER), {
    code: 'STREAM_UNKNOWN',
  })
  const made = await Promise.allSettled(['1', '2', '3', '4'].map((id) => webhooks.create(id, request, NEVER)))
  assert.deepEqual(made.map((each) => (each.status === 'rejected' ? each.reason.code : 'made')).sort(), [
    'WEBHOOK_LIMIT',
    'made',
    'made',
    'made',
  ])
  for (const change of ['pause', 'resume', 'end'] as const) {
    await assert.rejects(webhooks.change('1', 'other', change, NEVER), { code: 'WEBHOOK_UNKNOWN' })
    await assert.rejects(webhooks.change('none', APP, change, NEVER), { code: 'WEBHOOK_UNKNOWN' })
  }
})

test('a lease that a webhook reads lives as long as the webhook, also while nobody serves it', async (t) => {
  const world = await setUp(t)
  const { desk, broker, bus, registry } = await world.start('a', { speed: 100 })
  const parts = { instance: 'a', broker, names: NAMES, bus, registry, newId: world.newId }
  const webhooks = createWebhookDesk(parts)
  const ask = { app: APP, ...tradesOf('BTC-USD'), ttlMs: 5_000 }
  await desk.request({ ...ask, leaseId: 'kept' }, NEVER)
  await desk.request({ ...ask, leaseId: 'other' }, NEVER)
  const receiver = { url: 'https://example.com/', secret: 'whsec_c2VjcmV0', maxEvents: 1, maxWaitMs: 0 }
  await webhooks.create('hook', { ...receiver, app: APP, leaseId: 'kept', cursor: '' }, NEVER)
  await webhooks.change('hook', APP, 'pause', NEVER)
  await until('the other lease is over', () => desk.get('other') === undefined)
  assert.ok(desk.get('kept'))
  await webhooks.change('hook', APP, 'end', NEVER)
  await until('the lease is over', () => desk.get('kept') === undefined)
})
