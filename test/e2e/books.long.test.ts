import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { foldBook } from '../../src/domain/book-levels.ts'
import type { Book } from '../../src/domain/events.ts'
import { BOOK_EXCHANGES, bookOf, DEPTH, stateOf, toldOf } from '../adapters/source/book-exchange.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { SEED } from '../seed.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const SYMBOL = 'BTC-USDT'

function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

test(`a stream of books over a fault and kill -9 never has a wrong book (seed ${SEED})`, async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const random = randomOf(SEED)
  const exchanges = await Promise.all(
    BOOK_EXCHANGES.filter(({ kind }) => kind.name === 'kraken' || kind.name === 'okx').map(
      async (exchange) => {
        const book = bookOf(exchange, random)
        const service: Service = await Service.start(t, {
          received: (frame, socket) => {
            if (!exchange.isAsked(frame)) return
            for (const each of exchange.snapshot?.(book) ?? []) sendFrame(socket, each)
          },
        })
        return { ...exchange, name: exchange.kind.name, book, service }
      },
    ),
  )
  const sources = exchanges.map(({ name, service }) => ({
    ...{ kind: name, url: service.url, markets: [`${name}:${SYMBOL}`], channels: ['trade', 'book'] },
    ...{ bookDepth: DEPTH, bookSnapshotEvery: '1s', reconnect: '100ms', reconnectMax: '500ms' },
  }))
  const config = join(folder.path, 'tapeline.yaml')
  await writeFile(config, JSON.stringify({ sources }))
  const platform = new PlatformProcess(data, ['--config', config])
  t.after(() => platform.kill())
  await platform.start()

  const move = (count: number) => {
    for (let i = 0; i < count; i++)
      for (const { book, service, update } of exchanges) service.send(...update(toldOf(book, book.change())))
  }
  const shown = async (name: string) => {
    const { code, stdout, stderr } = await runCommand(['book', `${name}:${SYMBOL}`, '--data', data, '--json'])
    return code === 0 ? stateOf(JSON.parse(stdout) as Book) : stderr
  }
  const isShown = (what: string) =>
    until(what, async () => {
      for (const { name, book } of exchanges) if ((await shown(name)) !== stateOf(book.shown)) return false
      return true
    })
  await isShown('the books are there')

  const books = new Map<string, Book>()
  const doubts: string[] = []
  const first: Book[] = []
  let read = 0
  /** Takes in what has come: each book that is valid is one that its exchange has had. */
  const take = (client: StreamClient) => {
    const events = client.frames.flatMap((frame) => frame.events) as unknown as Book[]
    for (const event of events.slice(read)) {
      const book = foldBook(books.get(event.exchange), event)
      if (!books.has(event.exchange)) first.push(event)
      books.set(event.exchange, book)
      if (book.doubt !== undefined) {
        doubts.push(`${event.exchange} ${book.doubt}`)
        assert.ok(event.doubt !== undefined, `a reader has to doubt by itself: ${JSON.stringify(event)}`)
      } else {
        const own = exchanges.find(({ name }) => name === event.exchange)
        assert.ok(own?.book.states.has(stateOf(book)), 'a book that never was')
      }
    }
    read = events.length
  }
  const isRead = (client: StreamClient, what: string) =>
    until(what, () => {
      take(client)
      return exchanges.every(({ name, book }) => {
        const known = books.get(name)
        return known !== undefined && known.doubt === undefined && stateOf(known) === stateOf(book.shown)
      })
    })

  const client = await StreamClient.open(await platform.api())
  const stream = await client.request({ channel: 'book', symbols: [SYMBOL], ttl: 0 })
  move(50)
  await isRead(client, 'the stream has the books')
  assert.deepEqual(
    first.map(({ snapshot }) => snapshot),
    [true, true],
  )

  const [kraken] = exchanges.filter(({ name }) => name === 'kraken')
  kraken?.book.change()
  move(20)
  await isRead(client, 'the book with a fault is right again')
  assert.deepEqual(doubts, ['kraken checksum'])

  move(20)
  await isRead(client, 'all has come')
  const cursor = client.cursors.get(stream)
  client.socket.terminate()
  await platform.kill()
  move(20)
  await platform.start()
  const again = await StreamClient.open(await platform.api())
  read = 0
  again.send({ op: 'subscribe', stream, cursor })
  await until('the exchanges are connected', () =>
    exchanges.every(({ service }) => service.sockets.length > 0),
  )
  move(20)
  await isRead(again, 'the stream goes on')
  for (const { name } of exchanges)
    assert.ok(
      doubts.some((doubt) => doubt === `${name} restart`),
      `nobody hears that ${name} was not seen: ${doubts}`,
    )
  await isShown('the books are there again')
})
