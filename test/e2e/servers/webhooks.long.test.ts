import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
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

/** The one address that webhooks may go to, and where others listen that they may not. */
const ALLOWED = '127.0.0.9'
const NAMES_MODULE = new URL('turning-names.mjs', import.meta.url).href
const nameFile = (folder: string): string => join(folder, 'hooks.test')

interface Made {
  readonly id: string
  readonly secret: string
  readonly stream: string
}

interface Shown {
  readonly state: string
  readonly failure: { readonly code: string; readonly message: string; readonly attempts: number } | null
}

describe('webhooks of two gateways on Kafka', requireServer(kafkaMissing()), () => {
  let cluster: Cluster
  let receiver: Receiver
  /** Behind the address that no webhook may go to. */
  let inside: Receiver
  let open = 0
  let most = 0

  before(async () => {
    cluster = await openCluster({
      ...{ seed: SEED, rate: 50 },
      roles: { work: 'producer,coordinator,consumer-fixed', first: 'gateway', second: 'gateway' },
      environment: { TAPELINE_WEBHOOKS_ALLOW: ALLOWED, TAPELINE_WEBHOOKS_TIMEOUT: '2s' },
      environmentOf: (_name, folder) => ({
        NODE_OPTIONS: `--import ${NAMES_MODULE}`,
        TURNING_NAME: nameFile(folder),
      }),
    })
    receiver = await startReceiver(0, ALLOWED)
    inside = await startReceiver(receiver.port)
    receiver.answer(take)
    await turnTo(ALLOWED)
    await startAll(cluster)
  })
  after(async () => {
    await cluster.close()
    await receiver.close()
    await inside.close()
  })

  /** Takes a message as a receiver does that has something to do. Each comes by a connection of its own, so that its name is looked up. */
  const take = async (response: ServerResponse): Promise<void> => {
    most = Math.max(most, ++open)
    response.once('close', () => open--)
    await delay(20)
    response.setHeader('connection', 'close').end()
  }
  const turnTo = (address: string): Promise<void> => writeFile(nameFile(cluster.folder), address)

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
    const made = await work.post<Made>('/v1/webhooks', {
      ...{ url: receiver.url, spec: { channel: 'trade', symbols: ['*'] }, maxWait: 0, maxEvents: 20 },
    })
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

    await refuseHoles(made, otherOf(stopped))
    await remove(made)
  })

  test('redirects, silence, failures, 410 and a name that turns inside: nothing goes elsewhere, and nothing is lost', async () => {
    const already = receiver.received.length
    const gateway = cluster.process('second')
    const made = await gateway.post<Made>('/v1/webhooks', {
      ...{ url: `http://hooks.test:${receiver.port}/hook`, spec: { channel: 'trade', symbols: ['*'] } },
      ...{ maxWait: 0, maxEvents: 20 },
    })
    const show = (): Promise<Shown> => gateway.get<Shown>(`/v1/webhooks/${made.id}`)
    const fails = (what: string, test: (failure: NonNullable<Shown['failure']>) => boolean): Promise<void> =>
      until(what, async () => {
        const { failure } = await show()
        return failure !== null && test(failure)
      })
    await more(3)

    await turnTo('127.0.0.1')
    await fails('127.0.0.1 is refused', ({ code }) => code === 'WEBHOOK_ADDRESS_REFUSED')
    const attempts = (await show()).failure?.attempts ?? 0
    await turnTo('169.254.169.254')
    await fails(
      '169.254.169.254 is',
      (each) => each.code === 'WEBHOOK_ADDRESS_REFUSED' && each.attempts > attempts,
    )
    await turnTo(ALLOWED)
    await more(2)

    const elsewhere = `http://127.0.0.1:${inside.port}/`
    const wrongs: readonly [RegExp, (response: ServerResponse) => unknown][] = [
      [
        /answered 307: redirects are not followed/,
        (response) => response.writeHead(307, { location: elsewhere }).end(),
      ],
      [/no answer within 2 s/, () => undefined],
      [/answered 503/, (response) => response.writeHead(503).end('inside')],
    ]
    for (const [message, answer] of wrongs) {
      receiver.answer(answer)
      await fails(`it shows ${message}`, (failure) => message.test(failure.message))
      receiver.answer(take)
      await more(2)
    }

    receiver.answer((response) => response.writeHead(410).end())
    await until('it is paused', async () => (await show()).state === 'paused')
    assert.equal((await show()).failure?.code, 'WEBHOOK_GONE')
    receiver.answer(take)
    await cluster.process('first').post(`/v1/webhooks/${made.id}/resume`, {})
    await more(3)
    assert.equal(inside.received.length, 0, 'nothing went where it may not')
    await refuseHoles(made, 'first', already)
    await remove(made)
  })

  /** Each message is verified by the package of others, and all together are what the stream has, in its order. */
  const refuseHoles = async ({ id, secret, stream }: Made, gateway: Name, from = 0): Promise<void> => {
    assert.equal(most, 1, 'never two at once')
    const verifier = new Webhook(secret)
    const byId = new Map<string, string>()
    for (const { headers, body } of receiver.received.slice(from)) {
      verifier.verify(body, headers as Record<string, string>)
      const known = byId.get(String(headers['webhook-id'])) ?? body
      assert.equal(known, body, 'one id, one message')
      byId.set(String(headers['webhook-id']), body)
    }
    const got = [...byId.values()].flatMap((body) => (JSON.parse(body) as { events: LedgerTrade[] }).events)
    const api = cluster.api(gateway)
    const { streams } = (await (await fetch(`${api}/v1/streams`)).json()) as {
      streams: { id: string; topic: string }[]
    }
    const topic = streams.find((each) => each.id === stream)?.topic ?? ''
    const { stdout, stderr } = await runCommand([
      ...['tail', topic, '--from', 'earliest', '--json', '--exit', '--api', api],
    ])
    const all = parseTail(stdout).map(tradeKey)
    const first = all.indexOf(tradeKey(got[0] as LedgerTrade))
    assert.ok(first >= 0)
    assert.deepEqual(
      got.map(tradeKey),
      all.slice(first, first + got.length),
      `all of ${id}, in order: ${stderr}`,
    )
  }
  const remove = async ({ id }: Made): Promise<void> => {
    await cluster.process('first').remove(`/v1/webhooks/${id}`)
    await until('nobody serves it', async () =>
      (await Promise.all(GATEWAYS.map(serves))).every((each) => !each),
    )
  }
})
