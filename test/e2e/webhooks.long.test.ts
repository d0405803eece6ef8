import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { type Receiver, startReceiver } from '../adapters/transport/webhook/receiver.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { type LedgerTrade, parseTail, tradeKey } from './ledger.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

const OTHER = { channel: 'trade', symbols: ['BTC-USD'] }

interface Shown {
  readonly id: string
  readonly secret: string
  readonly stream: string
  readonly state: string
  readonly failure: { readonly code: string } | null
}

describe('webhooks', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let data: string
  let simulator: Simulator
  let platform: PlatformProcess
  let receiver: Receiver
  let made: Shown

  before(async () => {
    folder = await makeFolder()
    data = join(folder.path, 'data')
    await copyStoreTemplate(join(data, 'store'))
    simulator = await startSimulatorThread({ seed: 1, rate: 200 })
    receiver = await startReceiver()
    platform = new PlatformProcess(data, ['--simulator', simulator.url], {
      TAPELINE_WEBHOOKS_ALLOW: '127.0.0.0/8',
    })
    await platform.start()
  })
  after(async () => {
    await platform.kill()
    await simulator.close()
    await receiver.close()
    await folder.remove()
  })

  const webhooks = async (...words: string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await runCommand(['webhooks', ...words, '--data', data, '--json'])
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }
  const show = async (): Promise<Shown> => (await webhooks('show', made.id)) as Shown

  /** Each message once, in the order in which they came first. */
  const messages = (): { op: string; events: LedgerTrade[] }[] => {
    const verifier = new Webhook(made.secret)
    const byId = new Map<string, string>()
    for (const { headers, body } of receiver.received) {
      verifier.verify(body, headers as Record<string, string>)
      const id = String(headers['webhook-id'])
      assert.equal(byId.get(id) ?? body, body, 'one id, one message')
      byId.set(id, body)
    }
    return [...byId.values()].map((body) => JSON.parse(body) as { op: string; events: LedgerTrade[] })
  }
  const trades = (): LedgerTrade[] => messages().flatMap(({ events }) => events)
  const more = async (count: number): Promise<void> => {
    const before = receiver.received.length
    await receiver.until(({ length }) => length >= before + count)
  }

  test('a webhook made by a command gets all trades, verified, also over kill -9 and failures', async () => {
    const flags = ['--channel', 'trade', '--symbols', '*', '--from', 'earliest', '--max-wait', '100ms']
    // Just after a start there may be no coordinator yet.
    await platform.remove(`/v1/streams/${(await platform.post<{ id: string }>('/v1/streams', OTHER)).id}`)
    made = (await webhooks('create', receiver.url, ...flags)) as Shown
    assert.match(made.secret, /^whsec_/)
    assert.equal('secret' in (await show()), false)
    await more(5)
    await platform.kill()
    await platform.start()
    await more(5)
    receiver.answer((response) => response.writeHead(500).end())
    await more(1)
    await platform.kill()
    await platform.start()
    await more(1)
    await until('it shows', async () => (await show()).state === 'failing')
    receiver.answer((response) => response.end())
    await more(10)

    const got = trades()
    assert.deepEqual(new Set(messages().map(({ op }) => op)), new Set(['data']))
    const keys = got.map(tradeKey)
    assert.equal(new Set(keys).size, keys.length, 'no trade twice')
    const { streams } = await platform.get<{ streams: { id: string; topic: string }[] }>('/v1/streams')
    const topic = streams.find(({ id }) => id === made.stream)?.topic ?? ''
    const { stdout } = await runCommand([
      ...['tail', topic, '--from', 'earliest', '--json', '--exit', '--data', data],
    ])
    const all = parseTail(stdout).map(tradeKey)
    assert.deepEqual(keys, all.slice(0, keys.length), 'all that the stream has, in its order')
  })

  test('410 pauses it with an alert; a command resumes it', async () => {
    receiver.answer((response) => response.writeHead(410).end())
    await until('it is paused', async () => (await show()).state === 'paused')
    assert.equal((await show()).failure?.code, 'WEBHOOK_GONE')
    await until('an alert says so', async () => {
      const { alerts } = await platform.get<{ alerts: { id: string; code: string }[] }>('/v1/alerts')
      return alerts.some(({ id, code }) => id === `webhook:${made.id}` && code === 'WEBHOOK_GONE')
    })
    receiver.answer((response) => response.end())
    await webhooks('resume', made.id)
    await more(2)
    await until('it is active', async () => (await show()).state === 'active')
    const keys = trades().map(tradeKey)
    assert.equal(new Set(keys).size, keys.length, 'no trade twice')
  })

  test('an address that is not allowed is refused, and no record shows a secret', async () => {
    const inside = `http://[::1]:${receiver.port}/`
    const { code, stderr } = await runCommand([
      ...['webhooks', 'create', inside, '--channel', 'trade', '--symbols', '*', '--data', data],
    ])
    assert.equal(code, 1)
    assert.match(stderr, /WEBHOOK_ADDRESS_REFUSED/)
    const { stdout } = await runCommand([
      ...['tail', 'tapeline.registry', '--from', 'earliest', '--json', '--exit', '--data', data],
    ])
    assert.match(stdout, /"kind":"webhook"/)
    assert.ok(!stdout.includes(made.secret))
  })

  test('deleted, it gets nothing more', async () => {
    await webhooks('delete', made.id)
    const { code, stderr } = await runCommand(['webhooks', 'show', made.id, '--data', data])
    assert.equal(code, 1)
    assert.match(stderr, /WEBHOOK_UNKNOWN/)
    await until('no machine serves it', async () => {
      const { actors } = await platform.get<{ actors: { id: string }[] }>('/v1/actors')
      return !actors.some(({ id }) => id.includes(made.id))
    })
  })
})
