import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createClient } from '../../src/client/index.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { type Receiver, startReceiver } from '../adapters/transport/webhook/receiver.ts'
import type { Legs } from '../legs.ts'
import { copyStoreTemplate } from '../store-template.ts'
import type { LedgerTrade } from './ledger.ts'
import {
  assertLegs,
  assertTradesQuotesTrades,
  hasTradesAgain,
  isTrade,
  quotesBehind,
  tradesBehind,
} from './moved.ts'
import { answered, makeFolder, PlatformProcess, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)

interface Stream {
  readonly id: string
  readonly topic: string
  readonly cursor: string
}

/** An outside application that reads a stream on one socket after another, each from its last cursor. */
class Application {
  readonly stream: string
  readonly events: LedgerTrade[] = []
  readonly told: string[] = []
  cursor: string
  #client: StreamClient | undefined

  constructor({ id, cursor }: Pick<Stream, 'id' | 'cursor'>) {
    this.stream = id
    this.cursor = cursor
  }

  async attach(api: string): Promise<void> {
    this.#client = await StreamClient.open(api)
    this.#client.send({ op: 'subscribe', stream: this.stream, cursor: this.cursor })
  }

  get count(): number {
    return this.events.length + (this.#client?.count(this.stream) ?? 0)
  }

  get got(): readonly LedgerTrade[] {
    return [...this.events, ...(this.#client?.events(this.stream) ?? [])]
  }

  detach(): void {
    const client = this.#client
    if (client === undefined) return
    client.cut()
    this.events.push(...client.events(this.stream))
    this.told.push(...client.messages.map(({ op }) => op))
    this.cursor = client.cursors.get(this.stream) ?? this.cursor
    this.#client = undefined
  }
}

/** The same over server-sent events. */
class EventSourceApplication {
  readonly stream: string
  readonly got: LedgerTrade[] = []
  #lastId: string
  #stop = new AbortController()

  constructor({ id, cursor }: Pick<Stream, 'id' | 'cursor'>) {
    this.stream = id
    this.#lastId = cursor
  }

  async attach(api: string): Promise<void> {
    const stop = new AbortController()
    this.#stop = stop
    const headers = { 'last-event-id': this.#lastId }
    const { body } = await fetch(`${api}/v1/streams/${this.stream}/events`, { headers, signal: stop.signal })
    void this.#read(body as ReadableStream<Uint8Array>, stop.signal).catch(() => undefined)
  }

  async #read(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    let text = ''
    for await (const bytes of body.pipeThrough(new TextDecoderStream())) {
      if (signal.aborted) return
      text += bytes
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) {
        const fields = new Map(
          event.split('\n').map((line) => [line.split(': ')[0], line.slice(line.indexOf(': ') + 2)]),
        )
        const data = JSON.parse(fields.get('data') ?? '{}') as { op?: string; events?: LedgerTrade[] }
        if (fields.has('id')) this.#lastId = fields.get('id') ?? ''
        this.got.push(...(data.events ?? []))
      }
    }
  }

  detach(): void {
    this.#stop.abort()
  }
}

describe(`streams that move (seed ${SEED})`, () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  let receiver: Receiver

  before(async () => {
    folder = await makeFolder()
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
    simulator = await startSimulatorThread({ seed: SEED, rate: 400, ledger: join(folder.path, 'ledger') })
    receiver = await startReceiver()
    platform = new PlatformProcess(join(folder.path, 'data'), ['--simulator', simulator.url], {
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

  const create = (spec: object): Promise<Stream> => platform.post<Stream>('/v1/streams', { ttl: 0, ...spec })
  const modify = async (id: string, change: object): Promise<Stream> => {
    const response = await answered('the change', async () =>
      fetch(`${await platform.api()}/v1/streams/${id}`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(change),
      }),
    )
    assert.equal(response.status, 200, await response.clone().text())
    return (await response.json()) as Stream
  }

  const trades = (came: readonly LedgerTrade[]): Promise<LedgerTrade[]> =>
    tradesBehind(platform, join(folder.path, 'ledger'), came)

  const more = (application: Application, events = 100): Promise<void> => {
    const goal = application.count + events
    return until('more comes', () => application.count >= goal)
  }

  test('to another filter and back: a live socket, one from before and one that starts late have each trade once', async () => {
    const stream = await create({ channel: 'trade', symbols: ['*'], where: 'size < 0.5' })
    const live = new Application(stream)
    await live.attach(await platform.api())
    await more(live)
    const old = new Application(stream)
    const moved = await modify(stream.id, { where: 'size >= 0.5' })
    assert.notEqual(moved.topic, stream.topic)
    assert.equal(
      (await modify(stream.id, { where: ' size>=0.5 ' })).topic,
      moved.topic,
      'an equal request moves nothing',
    )
    await more(live)
    await platform.kill()
    await platform.start()
    live.detach()
    await live.attach(await platform.api())
    await more(live)
    await modify(stream.id, { where: 'size < 0.5' })
    await modify(stream.id, { where: 'size < 0.25' })
    await more(live)
    live.detach()
    await old.attach(await platform.api())
    await until('the other one has as much', () => old.count >= live.count)
    old.detach()
    const all = await trades([...live.events, ...old.events])
    const legs: Legs<LedgerTrade> = [
      ({ size }) => size < 0.5,
      ({ size }) => size >= 0.5,
      ({ size }) => size < 0.5,
      ({ size }) => size < 0.25,
    ]
    assertLegs('the live socket', live.events, all, legs)
    assertLegs('who resumes', old.events, all, legs)
    assert.deepEqual([...new Set([...live.told, ...old.told])], ['subscribed'])
  })

  test('trades to quotes and back, over kill -9: sockets, event streams, webhooks and clients have each event once', async () => {
    const stream = await create({ channel: 'trade', symbols: ['BTC-*', 'ETH-*'] })
    const hook = await platform.post<{ id: string }>('/v1/webhooks', {
      ...{ url: receiver.url, stream: stream.id, cursor: stream.cursor, maxWait: '50ms' },
    })
    const socket = new Application(stream)
    await socket.attach(await platform.api())
    const sse = new EventSourceApplication(stream)
    await sse.attach(await platform.api())
    const stop = new AbortController()
    const proxied = createClient({ url: await platform.api() })
    const typed: { type: string; ts: number }[] = []
    const loop = (async () => {
      const reading = proxied.resume({ channel: 'trade', stream: stream.id, cursor: stream.cursor }, stop)
      for await (const event of reading) typed.push(event as { type: string; ts: number })
    })().catch((error: unknown) => {
      if (!stop.signal.aborted) throw error
    })
    await more(socket)
    const old = new Application(stream)

    await modify(stream.id, { channel: 'quote' })
    const kinds = (): string[] => [...new Set(typed.map(({ type }) => type))]
    await until('the client has quotes', () => kinds().includes('quote'))
    assert.deepEqual(kinds(), ['trade', 'quote'])
    stop.abort()
    await loop
    await more(socket)
    await modify(stream.id, { channel: 'trade' })
    await platform.kill()
    await platform.start()
    for (const application of [socket, sse]) {
      application.detach()
      await application.attach(await platform.api())
    }
    await until('trades come again', () => isTrade(socket.got.at(-1) as LedgerTrade))
    await more(socket)
    socket.detach()
    // Some hear of a move later, and have more of what was before it.
    const hasAsMuch = (got: readonly LedgerTrade[]): boolean =>
      got.length >= socket.events.length && hasTradesAgain(got)
    await until('the event stream has as much', () => hasAsMuch(sse.got))
    sse.detach()
    const byId = new Map<string, string>()
    const hooked = (): LedgerTrade[] => {
      for (const { headers, body } of receiver.received) byId.set(String(headers['webhook-id']), body)
      return [...byId.values()].flatMap((body) => (JSON.parse(body) as { events: LedgerTrade[] }).events)
    }
    await until('the webhook has as much', () => hasAsMuch(hooked()))
    await old.attach(await platform.api())
    await until('who resumes from before has as much', () => hasAsMuch(old.got))
    old.detach()

    const webhook = hooked()
    const came = [socket.events, sse.got, webhook, old.events].flat()
    const all = {
      trades: await trades(came.filter(isTrade)),
      quotes: await quotesBehind(
        platform,
        came.filter((event) => !isTrade(event)),
      ),
    }
    assertTradesQuotesTrades('the socket', socket.events, all)
    assertTradesQuotesTrades('the event stream', sse.got, all)
    assertTradesQuotesTrades('the webhook', webhook, all)
    assertTradesQuotesTrades('who resumes', old.events, all)
    await platform.remove(`/v1/webhooks/${hook.id}`)
  })
})
