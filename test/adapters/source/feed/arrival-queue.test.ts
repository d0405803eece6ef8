import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ArrivalQueue } from '../../../../src/adapters/source/feed/arrival-queue.ts'
import { TapelineError } from '../../../../src/errors.ts'
import type { ConnectionChange, NextOptions, SourceItem } from '../../../../src/ports/source.ts'
import { SEED } from '../../../seed.ts'

function change(detail: string, mayHaveMissed?: true): ConnectionChange {
  const status = { source: 'test', exchange: '', state: 'overflow', detail, ts: 0 } as const
  return { channel: 'connection', status, ...(mayHaveMissed && { mayHaveMissed }) }
}

function item(id: number): SourceItem {
  const event = {
    exchange: 'e',
    symbol: 'A-B',
    id: `${id}`,
    side: 'buy',
    price: 1,
    size: 1,
    ts: id,
    recvTs: id,
  } as const
  return { channel: 'trade', event }
}

function quote(symbol: string, bid: number): SourceItem {
  return { channel: 'quote', event: { exchange: 'e', symbol, bid, ts: bid, recvTs: bid } }
}

function queueOf(capacity: number): ArrivalQueue {
  return new ArrivalQueue({ capacity, hole: (dropped) => change(`hole of ${dropped}`, true) })
}

function isSameMarket(one: SourceItem, other: SourceItem): boolean {
  return one.channel === 'quote' && other.channel === 'quote' && one.event.symbol === other.event.symbol
}

/** What arrived: ids of trades, details of changes. */
function shown(items: readonly SourceItem[]): string[] {
  return items.map((each) =>
    each.channel === 'trade'
      ? each.event.id
      : each.channel === 'connection'
        ? each.status.detail
        : each.channel,
  )
}

function next(queue: ArrivalQueue, options: Partial<NextOptions> = {}, signal = AbortSignal.timeout(10_000)) {
  return queue.next({ maxItems: 1_000, lingerMs: 0, waitMs: 10_000, ...options }, signal)
}

describe('the arrival queue', () => {
  test('keeps the order over batches of any size', async () => {
    const queue = queueOf(100_000)
    for (let id = 0; id < 20_000; id++) queue.push(item(id))
    const ids: string[] = []
    while (queue.size > 0) ids.push(...shown(await next(queue, { maxItems: 777 })))
    assert.deepEqual(
      ids,
      Array.from({ length: 20_000 }, (_, id) => `${id}`),
    )
  })

  test('under pressure holds only the latest quote of each market, so that trades find room', async () => {
    const queue = queueOf(1_000)
    const symbols = ['A-B', 'C-D', 'E-F']
    let bid = 0
    for (let id = 0; id < 990; id++) {
      queue.push(item(id))
      for (const symbol of symbols) for (let n = 0; n < 5; n++) queue.push(quote(symbol, ++bid))
    }
    assert.deepEqual([queue.size, queue.dropped], [993, 0])
    assert.equal(queue.conflated, 990 * 15 - 3)
    const items: SourceItem[] = []
    while (queue.size > 0) items.push(...(await next(queue, { maxItems: 100 })))
    assert.equal(items.length, 993)
    const trades = items.flatMap((each) => (each.channel === 'trade' ? [each.event.id] : []))
    assert.deepEqual(
      trades,
      Array.from({ length: 990 }, (_, id) => `${id}`),
    )
    const quotes = items.flatMap((each) => (each.channel === 'quote' ? [each.event] : []))
    assert.deepEqual(
      quotes.map(({ symbol, bid: last }) => [symbol, last]),
      [
        ['A-B', bid - 10],
        ['C-D', bid - 5],
        ['E-F', bid],
      ],
    )
    assert.equal(
      items.at(-1),
      items.findLast(({ channel }) => channel === 'quote'),
      'each at its place',
    )

    for (const symbol of symbols) for (let n = 0; n < 5; n++) queue.push(quote(symbol, ++bid))
    assert.equal((await next(queue)).length, 15, 'without pressure each is given')
  })

  test('while the process is overloaded trades come at once, and of quotes the last of each market, in front of what is said of them', async () => {
    const queue = queueOf(1_000)
    queue.conflate(true)
    queue.push(quote('A-B', 1))
    queue.push(item(1))
    queue.push(quote('A-B', 2))
    queue.push(quote('C-D', 3))
    assert.deepEqual(shown(await next(queue)), ['1'])
    const held = await next(queue)
    assert.deepEqual(
      held.map((each) => each.channel === 'quote' && each.event.bid),
      [2, 3],
    )
    assert.equal(queue.conflated, 1)
    queue.push(quote('A-B', 4))
    queue.push(change('lost'))
    assert.deepEqual(shown(await next(queue)), ['quote', 'lost'])
    queue.push(quote('A-B', 5))
    queue.conflate(false)
    queue.push(quote('A-B', 6))
    assert.deepEqual(shown(await next(queue)), ['quote', 'quote'])
    queue.conflate(true)
    queue.push(quote('A-B', 7))
    queue.finish()
    assert.deepEqual(shown(await next(queue)), ['quote'], 'nothing is left behind at the end')
    assert.ok(queue.finished)
  })

  test('a quote without room leaves no hole: the next one says more', async () => {
    const queue = queueOf(10)
    for (let id = 0; id < 10; id++) queue.push(item(id))
    queue.push(quote('A-B', 1))
    assert.deepEqual([queue.size, queue.dropped], [10, 1])
    await next(queue)
    queue.push(item(10))
    assert.deepEqual(shown(await next(queue)), ['10'])
  })

  test('a quote that was pulled gives way to none: whatever stands in its place stays', async () => {
    const queue = queueOf(400)
    for (let id = 0; id < 60; id++) queue.push(item(id))
    queue.push(quote('A-B', 1))
    for (let id = 60; id < 260; id++) queue.push(item(id))
    queue.push(quote('C-D', 2))
    const pulled = [...(await next(queue, { maxItems: 70 }))]
    queue.push(quote('C-D', 3))
    pulled.push(...(await next(queue, { maxItems: 1 })))
    queue.push(quote('A-B', 4))
    while (queue.size > 0) pulled.push(...(await next(queue)))
    const trades = shown(pulled).filter((each) => each !== 'quote')
    assert.deepEqual(
      trades,
      Array.from({ length: 260 }, (_, id) => String(id)),
    )
    assert.equal(queue.conflated, 1)
  })

  test('pulls and pushes in any order give what a queue without bounds gives, less older quotes', async () => {
    let state = SEED >>> 0
    const random = (): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state / 2 ** 32
    }
    for (let run = 0; run < 30; run++) {
      const queue = queueOf(400)
      const pushed: SourceItem[] = []
      const pulled: SourceItem[] = []
      for (let turn = 0; turn < 40; turn++) {
        for (let n = Math.floor(random() * 60); n > 0; n--) {
          const isQuote = random() < 0.6
          const place = pushed.length
          pushed.push(isQuote ? quote(`M${Math.floor(random() * 8)}`, place) : item(place))
          queue.push(pushed.at(-1) as SourceItem)
        }
        const held = queue.size
        const max = 1 + Math.floor(random() * 40)
        if (held === 0) continue
        const batch = await next(queue, { maxItems: max })
        assert.equal(batch.length, Math.min(held, max), `seed ${SEED}`)
        pulled.push(...batch)
      }
      while (queue.size > 0) pulled.push(...(await next(queue)))
      const places = new Map(pushed.map((each, place) => [each, place]))
      const order = pulled.map((each) => places.get(each) ?? -1)
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      )
      assert.equal(pulled.length + queue.conflated, pushed.length, `seed ${SEED}`)
      const given = new Set(pulled)
      for (const [place, each] of pushed.entries()) {
        if (given.has(each)) continue
        assert.equal(each.channel, 'quote', `seed ${SEED}`)
        const later = pushed.slice(place + 1).some((other) => isSameMarket(each, other))
        assert.ok(later, `seed ${SEED}: the last quote of a market is never left out`)
      }
    }
  })

  test('a pull that waits for nothing needs no timer', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const queue = queueOf(10)
    assert.deepEqual(await next(queue, { waitMs: 0 }), [])
    queue.push(item(1))
    assert.deepEqual(shown(await next(queue, { waitMs: 0 })), ['1'])
  })

  test('gathers what comes within the linger, and leaves early when the batch is full', async () => {
    const queue = queueOf(100)
    const batch = next(queue, { lingerMs: 10_000, maxItems: 3 })
    for (let id = 1; id <= 4; id++) {
      queue.push(item(id))
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.deepEqual(shown(await batch), ['1', '2', '3'])
    assert.deepEqual(shown(await next(queue, { lingerMs: 1 })), ['4'])
  })

  test('gives at once what has waited for the linger while nobody asked', async () => {
    const queue = queueOf(100)
    queue.push(item(1))
    await new Promise((resolve) => setTimeout(resolve, 20))
    let batch: string[] | undefined
    void next(queue, { lingerMs: 15 }).then((items) => {
      batch = shown(items)
    })
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(batch, ['1'])
  })

  test('gives an empty batch after the wait', async () => {
    assert.deepEqual(await next(queueOf(10), { waitMs: 5 }), [])
  })

  test('at its capacity drops the newest, counts them, and marks the hole before what follows', async () => {
    const queue = queueOf(3)
    for (let id = 1; id <= 5; id++) queue.push(item(id))
    assert.deepEqual(shown(await next(queue, { maxItems: 2 })), ['1', '2'])
    queue.push(item(6))
    queue.push(item(7))
    const rest = await next(queue)
    assert.deepEqual(shown(rest), ['3', 'hole of 2', '6'])
    assert.equal(rest[1]?.channel === 'connection' && rest[1].mayHaveMissed, true)
    queue.push(item(8))
    assert.deepEqual(shown(await next(queue)), ['hole of 1', '8'])
    assert.equal(queue.dropped, 3)
  })

  test('takes connection changes beyond its capacity, in their place, but not without bound', async () => {
    const queue = queueOf(2)
    for (let id = 1; id <= 3; id++) queue.push(item(id))
    queue.push(change('lost'))
    assert.deepEqual(shown(await next(queue)), ['1', '2', 'hole of 1', 'lost'])
    for (let n = 0; n < 50_000; n++) queue.push(change('flap'))
    assert.ok(queue.size < 2_000, `holds ${queue.size} changes`)
  })

  test('rejects while there is a failure and nothing is held; what is held comes first', async () => {
    const queue = queueOf(10)
    const failure = new TapelineError('SOURCE_STALE', 'silent')
    queue.push(item(1))
    queue.fail(failure)
    assert.deepEqual(shown(await next(queue)), ['1'])
    await assert.rejects(next(queue), failure)
    queue.fail(undefined)
    const batch = next(queue)
    queue.fail(failure)
    await assert.rejects(batch, failure, 'a failure ends a wait')
    queue.fail(undefined)
    queue.push(item(2))
    assert.deepEqual(shown(await next(queue)), ['2'])
  })

  test('an abort rejects with the reason, at any moment, and loses nothing', async () => {
    const queue = queueOf(10)
    const waiting = new AbortController()
    const first = next(queue, {}, waiting.signal)
    waiting.abort(new Error('first'))
    await assert.rejects(first, /first/)
    const lingering = new AbortController()
    const second = next(queue, { lingerMs: 10_000 }, lingering.signal)
    queue.push(item(1))
    await new Promise((resolve) => setImmediate(resolve))
    lingering.abort(new Error('second'))
    await assert.rejects(second, /second/)
    await assert.rejects(next(queue, {}, lingering.signal), /second/)
    assert.deepEqual(shown(await next(queue)), ['1'])
  })

  test('a second pull before the first has settled is refused', async () => {
    const queue = queueOf(10)
    const first = next(queue)
    await assert.rejects(next(queue), /before the last call settled/)
    queue.push(item(1))
    assert.deepEqual(shown(await first), ['1'])
  })

  test('finished: the wait ends, what is held can be pulled, then batches are empty', async () => {
    const queue = queueOf(10)
    const waiting = next(queue)
    queue.finish()
    assert.deepEqual(await waiting, [])
    const other = queueOf(10)
    other.push(item(1))
    other.finish()
    assert.equal(other.finished, false)
    assert.deepEqual(shown(await next(other, { lingerMs: 10_000 })), ['1'])
    assert.equal(other.finished, true)
    assert.deepEqual(await next(other, { waitMs: 5 }), [])
  })

  test('drained resolves when enough was pulled', async () => {
    const queue = queueOf(10)
    for (let id = 1; id <= 5; id++) queue.push(item(id))
    let drained = false
    const waiting = queue.drained(3).then(() => {
      drained = true
    })
    await next(queue, { maxItems: 2 })
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(drained, false)
    await next(queue, { maxItems: 1 })
    await waiting
  })
})
