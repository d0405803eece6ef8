import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BOOK_EXCHANGES, bookOf, DEPTH } from '../adapters/source/book-exchange.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { makeFolder, PlatformProcess, until } from '../e2e/platform-process.ts'
import { SEED } from '../seed.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { assertAccessible, needsChromium, openBrowser } from './browser.ts'
import { buildPage } from './built.ts'

const SYMBOL = 'BTC-USDT'

test(`a market shows its order book, and the form makes a stream of books (seed ${SEED})`, needsChromium, async (t) => {
  await buildPage()
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const exchange = BOOK_EXCHANGES.find(({ kind }) => kind.name === 'okx')
  assert.ok(exchange)
  let state = SEED >>> 0
  const book = bookOf(exchange, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  })
  const service: Service = await Service.start(t, {
    received: (frame, socket) => {
      if (exchange.isAsked(frame)) sendFrame(socket, exchange.snapshot?.(book))
    },
  })
  const source = {
    ...{ kind: 'okx', url: service.url, markets: [`okx:${SYMBOL}`], channels: ['trade', 'book'] },
    ...{ bookDepth: DEPTH, bookSnapshotEvery: '1s' },
  }
  const config = join(folder.path, 'tapeline.yaml')
  await writeFile(config, JSON.stringify({ sources: [source] }))
  const platform = new PlatformProcess(data, ['--config', config])
  t.after(() => platform.kill())
  await platform.start()
  interface Levels {
    readonly bids: readonly (readonly number[])[]
    readonly asks: readonly (readonly number[])[]
  }
  const path = `/v1/books/okx/${SYMBOL}`
  await until('there is a book', async () => (await fetch(`${await platform.api()}${path}`)).ok)
  await until('the metric has it', async () => (await platform.metric('source_books', 'state="valid"')) === 1)

  const browser = await openBrowser(await platform.api())
  t.after(() => browser.close())
  const { page } = browser
  await page.goto(`${await platform.api()}/markets/okx/${SYMBOL}`)
  const shownPrices = async (side: string) =>
    (
      await page.locator('#book tbody tr', { hasText: side }).locator('td:nth-child(2)').allTextContents()
    ).map((text) => Number(text.replaceAll(',', '')))
  const isShown = async () => (await page.locator('#book tbody tr').count()) > 0
  await until('the book is shown once it changes', async () => {
    service.send(exchange.update(book, book.change()))
    return isShown()
  })
  await until('the best levels are shown', async () => {
    const { bids, asks } = await platform.get<Levels>(`${path}?depth=10`)
    const [bid, ask] = [await shownPrices('bid'), await shownPrices('ask')]
    return (
      bid.length > 0 &&
      bid.join() === bids.map(([price]) => price).join() &&
      ask.toReversed().join() === asks.map(([price]) => price).join()
    )
  })
  await assertAccessible(page, 'a market with a book')

  await page.goto(`${await platform.api()}/streams?channel=book&symbols=*`)
  assert.equal(await page.getByLabel('Candles of').isVisible(), false)
  await page.getByLabel('Best levels').fill('3')
  await page.getByLabel('Latest every').fill('250ms')
  await page.getByRole('button', { name: 'Create stream' }).click()
  await page.getByRole('heading', { name: 'books of * 3 best levels every 250ms' }).waitFor()
  await page.getByText(/^[1-9][\d,]* came/).waitFor()
  await page.locator('.events td', { hasText: 'and 2 more' }).first().waitFor()
  assert.deepEqual(browser.faults, [])
})
