import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ActorReport, PlacedActor, Transition } from '../../src/ports/actors.ts'
import { assertProblem, call, post } from './http.ts'
import { type Platform, startPlatform } from './platform.ts'
import { openSocket } from './socket-client.ts'

const keys = [
  { name: 'alice', key: 'alice-key' },
  { name: 'bob', key: 'bob-key' },
  { name: 'admin', key: 'admin-key' },
]
const bearer = (name: string) => ({ authorization: `Bearer ${name}-key` })
const [ALICES, BOBS, STANDING] = ['a', 'b', 's'].map((letter) => letter.repeat(26))
const OTHERS = 'app.(another application)'

function actor(id: string, machine: ActorReport['machine'], context: object = {}): PlacedActor {
  const more = { state: 'idle', since: '2026-01-01T00:00:00.000Z', restarts: 0, errorInfo: null }
  return { id, instance: 'here', machine, ...more, context: { ...context } }
}

/** A platform on which alice and bob have a stream, a webhook, machines and alerts. */
async function startWorld(t: Parameters<typeof startPlatform>[0]) {
  const platform = await startPlatform(t, { keys })
  const { url, desk, broker, actors, alerts } = platform
  desk.add(ALICES ?? '', 'alice')
  desk.add(BOBS ?? '', 'bob')
  desk.leases.set('all', { ...desk.add(STANDING ?? '', 'tapeline'), id: 'all', standing: true })
  desk.leases.delete(STANDING ?? '')
  for (const name of ['market.trades', `app.${ALICES}`, `app.${BOBS}`, `app.${STANDING}`])
    broker.add(name, [])
  const hookOf = async (app: string, stream: string | undefined): Promise<string> => {
    const made = await post(`${url}/v1/webhooks`, { url: 'https://example.com/hook', stream }, bearer(app))
    assert.equal(made.status, 201, made.text)
    return String(made.json()['id'])
  }
  const hooks = { alice: await hookOf('alice', ALICES), bob: await hookOf('bob', BOBS) }
  actors.reports.splice(
    0,
    actors.reports.length,
    actor('producer', 'producer', { targetTopic: [`app.${ALICES}`, `app.${BOBS}`, `app.${STANDING}`] }),
    actor('consumer-dynamic:alice', 'consumerDynamic'),
    actor('consumer-dynamic:bob', 'consumerDynamic'),
    actor(`consumer-dynamic:webhook:${hooks.alice}`, 'consumerDynamic'),
    actor(`consumer-dynamic:webhook:${hooks.bob}`, 'consumerDynamic'),
  )
  const alert = { instance: 'here', since: '2026-01-01T00:00:00.000Z' }
  for (const app of ['alice', 'bob'] as const) {
    const id = `webhook:${hooks[app]}`
    alerts.push({ ...alert, id, code: 'WEBHOOK_GONE', message: `the webhook ${hooks[app]} is paused` })
    alerts.push({ ...alert, id: `${id}@there`, code: 'WEBHOOK_GONE', message: `the webhook ${hooks[app]}` })
    alerts.push({ ...alert, id: `consumer-dynamic:${app}`, code: 'BROKER_UNAVAILABLE', message: app })
  }
  const message = `topics of streams that the broker does not show: app.${ALICES}, app.${BOBS}`
  alerts.push({ ...alert, id: 'topics', code: 'TOPIC_MISSING', message })
  return { ...platform, hooks }
}

async function list({ url }: Platform, path: string, app: string): Promise<readonly { id: string }[]> {
  const answer = await call(url + path, { headers: bearer(app) })
  assert.equal(answer.status, 200, answer.text)
  return Object.values(answer.json())[0] as { id: string }[]
}

describe('what an application sees of others', () => {
  test('no machine, alert, webhook or stream of theirs, by no route that lists; an admin sees all', async (t) => {
    const platform = await startWorld(t)
    const { url, hooks } = platform
    const paths = ['/v1/actors', '/v1/alerts', '/v1/topics', '/v1/topics?all=true', '/v1/topics?unknown=true']
    for (const path of [...paths, '/v1/streams', '/v1/webhooks', '/v1/markets', '/readyz', '/metrics']) {
      const { text } = await call(url + path, { headers: bearer('alice') })
      for (const secret of ['bob', hooks.bob, BOBS ?? ''])
        assert.ok(!text.includes(secret), `${path}: ${text}`)
    }
    const ids = async (path: string, app: string) => (await list(platform, path, app)).map(({ id }) => id)
    assert.deepEqual(await ids('/v1/actors', 'alice'), [
      ...['producer', 'consumer-dynamic:alice', `consumer-dynamic:webhook:${hooks.alice}`],
    ])
    assert.deepEqual(await ids('/v1/alerts', 'bob'), [
      ...[`webhook:${hooks.bob}`, `webhook:${hooks.bob}@there`, 'consumer-dynamic:bob', 'topics'],
    ])
    assert.deepEqual(
      [(await ids('/v1/actors', 'admin')).length, (await ids('/v1/alerts', 'admin')).length],
      [5, 7],
    )
    const topics = (await list(platform, '/v1/topics', 'admin')) as readonly { name?: string }[]
    assert.equal(topics.length, 3)
  })

  test('the platform itself, where names of their topics stand in it without these', async (t) => {
    const platform = await startWorld(t)
    const [producer] = (await list(platform, '/v1/actors', 'alice')) as readonly unknown[] as PlacedActor[]
    assert.deepEqual(producer?.context['targetTopic'], [`app.${ALICES}`, OTHERS, `app.${STANDING}`])
    const alerts = (await list(platform, '/v1/alerts', 'bob')) as readonly { message?: string }[]
    assert.match(
      String(alerts.at(-1)?.message),
      new RegExp(`does not show: app\\.\\(another application\\), app\\.${BOBS}$`),
    )
  })

  test('also from this machine: its steps are not watched, and its machine is not reset', async (t) => {
    const { url, transitions, actors, hooks } = await startWorld(t)
    const step = (actor: string): Transition => {
      return {
        ts: 1,
        actor,
        machine: 'consumerDynamic',
        from: 'idle',
        event: 'SUBSCRIBE_TO_TOPIC',
        to: 'subscribing',
      }
    }
    const all = ['consumer-dynamic:alice', 'consumer-dynamic:bob', `consumer-dynamic:webhook:${hooks.alice}`]
    for (const id of all) transitions.record(step(id))
    const watch = async (app: string): Promise<readonly string[]> => {
      const socket = await openSocket(t, `${url}/v1/actors/transitions?key=${app}-key`)
      const [greeting] = [await socket.next()]
      return (greeting['transitions'] as Transition[]).map((each) => each.actor)
    }
    assert.deepEqual(await watch('alice'), [all[0], all[2]])
    assert.deepEqual(await watch('admin'), all)
    const reset = (id: string, app: string) =>
      post(`${url}/v1/actors/${encodeURIComponent(id)}/reset`, {}, bearer(app))
    assertProblem(await reset('consumer-dynamic:bob', 'alice'), 'ACTOR_UNKNOWN')
    assert.equal((await reset('consumer-dynamic:alice', 'alice')).status, 202)
    assert.equal((await reset('consumer-dynamic:bob', 'admin')).status, 202)
    assert.deepEqual(actors.resets, ['consumer-dynamic:alice', 'consumer-dynamic:bob'])
  })
})
