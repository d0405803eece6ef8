import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import type { PlacedActor, Transition, TransitionNews } from '../../src/ports/actors.ts'
import { startInspector } from '../../src/topology/inspector.ts'

const PRODUCER: PlacedActor = {
  ...{ id: 'producer', machine: 'producer', state: 'fetchingData', instance: 'here', restarts: 0 },
  ...{ since: '2026-11-30T00:00:00.000Z', errorInfo: null, context: { secret: 'of the batch' } },
}

async function setUp(t: TestContext) {
  const watchers = new Set<(news: TransitionNews) => void>()
  const inspector = await startInspector({
    port: 0,
    actors: { list: () => [PRODUCER] },
    transitions: {
      watch(onNews) {
        watchers.add(onNews)
        return { stop: () => void watchers.delete(onNews) }
      },
    },
  })
  t.after(() => inspector.close())
  const tell = (...transitions: readonly Transition[]): void => {
    for (const onNews of watchers) onNews({ instance: 'here', transitions, skipped: 0, counts: {} })
  }
  return { inspector, watchers, tell, socketUrl: inspector.url.replace('http', 'ws') }
}

test('whoever connects hears of the actors, and then of each step, in the messages of the inspector', async (t) => {
  const { watchers, tell, socketUrl } = await setUp(t)
  assert.equal(watchers.size, 0, 'nobody watches')
  const socket = new WebSocket(socketUrl)
  const messages: Record<string, unknown>[] = []
  const all = Promise.withResolvers<void>()
  socket.on('message', (data) => {
    messages.push(JSON.parse(String(data)))
    if (messages.length === 5) all.resolve()
  })
  await once(socket, 'message')
  const step = { ts: 1, from: 'idle', event: 'RECEIVE', to: 'busy' }
  tell(
    {
      ...step,
      actor: 'producer',
      machine: 'producer',
      from: 'fetchingData',
      event: 'DATA_READY',
      to: 'publishingFixed',
    },
    { ...step, actor: 'coordinator', machine: 'coordinator' },
  )
  // The steps of the producer are two messages, those of an actor that is new three.
  await all.promise
  const [actor, event, snapshot, second] = messages
  assert.deepEqual(
    [actor?.['type'], actor?.['sessionId'], actor?.['name']],
    ['@xstate.actor', 'producer', 'producer'],
  )
  const definition = JSON.parse(String(actor?.['definition'])) as { id: string; states: object }
  assert.ok('publishingFixed' in definition.states)
  assert.deepEqual(actor?.['snapshot'], { status: 'active', value: 'fetchingData', context: {} })
  assert.deepEqual([event?.['type'], event?.['event']], ['@xstate.event', { type: 'DATA_READY' }])
  assert.deepEqual(
    [snapshot?.['type'], snapshot?.['snapshot']],
    ['@xstate.snapshot', { status: 'active', value: 'publishingFixed', context: {} }],
  )
  assert.deepEqual([second?.['type'], second?.['sessionId']], ['@xstate.actor', 'coordinator'])
  assert.ok(messages.every((message) => typeof message['_version'] === 'string'))
  assert.ok(!JSON.stringify(messages).includes('of the batch'), 'no context is sent')
  socket.close()
  await once(socket, 'close')
})

test('nobody but this machine, and no page of another site, is served', async (t) => {
  const { inspector, socketUrl } = await setUp(t)
  assert.match(inspector.url, /^http:\/\/127\.0\.0\.1:\d+$/)
  const page = await fetch(inspector.url)
  assert.equal(page.status, 200)
  assert.match(page.headers.get('content-security-policy') ?? '', /frame-src https:\/\/stately\.ai$/)
  const foreign = new WebSocket(socketUrl, { headers: { origin: 'https://evil.example' } })
  const [error] = (await once(foreign, 'error')) as [Error]
  assert.match(error.message, /401/)
  const rebound = new WebSocket(socketUrl, { headers: { host: 'evil.example' } })
  assert.match(((await once(rebound, 'error')) as [Error])[0].message, /401/)
  const port = Number(new URL(inspector.url).port)
  await assert.rejects(
    startInspector({ port, actors: { list: () => [] }, transitions: { watch: () => ({ stop() {} }) } }),
    { code: 'PORT_IN_USE' },
  )
})
