import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { delay } from '../../../src/async/timers.ts'
import { type Receiver, startReceiver } from '../../adapters/transport/webhook/receiver.ts'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { type LedgerTrade, parseTail, tradeKey } from '../ledger.ts'
import { runCommand, until } from '../platform-process.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'

const GATEWAYS = ['first', 'second'] as const
type Name = (typeof GATEWAYS)[number]

describe('webhooks of two gateways on Kafka', requireServer(kafkaMissing()), () => {
  let cluster: Cluster
  let receiver: Receiver
  let open = 0
  let most = 0

  before(async () => {
    cluster = await openCluster({
      ...{ seed: SEED, rate: 50 },
      roles: { work: 'producer,coordinator,consumer-fixed', first: 'gateway', second: 'gateway' },
      environment: { TAPELINE_WEBHOOKS_ALLOW: '127.0.0.0/8', TAPELINE_WEBHOOKS_TIMEOUT: '2s' },
    })
    receiver = await startReceiver()
    receiver.answer(async (response) => {
      most = Math.max(most, ++open)
      response.once('close', () => open--)
      await delay(20)
      response.end()
    })
    await startAll(cluster)
  })
  after(async () => {
    await cluster.close()
    await receiver.close()
  })

  const serves = (name: Name): Promise<boolean> =>
    cluster
      .process(name)
      .metric('webhooks')
      .then(
        (count) => count > 0,
        () => false,
      )
  const owner = async (): Promise<Name> => {
    let found: Name | undefined
    await until('a gateway serves it', async () => {
      for (const name of GATEWAYS) if (await serves(name)) found = name
      return found !== undefined
    })
    return found ?? 'first'
  }
  const otherOf = (name: Name): Name => (name === 'first' ? 'second' : 'first')
  const more = async (count: number): Promise<void> => {
    const before = receiver.received.length
    await receiver.until(({ length }) => length >= before + count)
  }

  test(`kill -9 and SIGSTOP: in order, verified, each once by its id, and never two at once (seed ${SEED})`, async () => {
    const work = cluster.process('first')
    const { id, secret, stream } = await work.post<{ id: string; secret: string; stream: string }>(
      '/v1/webhooks',
      { url: receiver.url, spec: { channel: 'trade', symbols: ['*'] }, maxWait: 0, maxEvents: 20 },
    )
    await more(10)

    const killed = await owner()
    await cluster.process(killed).kill()
    await more(10)
    await cluster.process(killed).start()

    const stopped = await owner()
    cluster.process(stopped).pause()
    await until('the other serves it', () => serves(otherOf(stopped)))
    await more(10)
    cluster.process(stopped).resume()
    await more(20)

    assert.equal(most, 1, 'never two at once')
    const verifier = new Webhook(secret)
    const byId = new Map<string, string>()
    for (const { headers, body } of receiver.received) {
      verifier.verify(body, headers as Record<string, string>)
      const known = byId.get(String(headers['webhook-id'])) ?? body
      assert.equal(known, body, 'one id, one message')
      byId.set(String(headers['webhook-id']), body)
    }
    const got = [...byId.values()].flatMap((body) => (JSON.parse(body) as { events: LedgerTrade[] }).events)
    const api = cluster.api(otherOf(stopped))
    const { streams } = (await (await fetch(`${api}/v1/streams`)).json()) as {
      streams: { id: string; topic: string }[]
    }
    const topic = streams.find((each) => each.id === stream)?.topic ?? ''
    const { stdout, stderr } = await runCommand([
      ...['tail', topic, '--from', 'earliest', '--json', '--exit', '--api', api],
    ])
    const all = parseTail(stdout).map(tradeKey)
    assert.deepEqual(got.map(tradeKey), all.slice(0, got.length), `all of ${id}, in order: ${stderr}`)
  })
})
