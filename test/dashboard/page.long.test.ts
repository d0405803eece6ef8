import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { makeFolder, PlatformProcess, until } from '../e2e/platform-process.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { assertAccessible, type Browser, needsChromium, openBrowser } from './browser.ts'
import { buildPage } from './built.ts'

/** Of all scripts of the page together, compressed. */
const MOST_SCRIPT_BYTES = 250_000

/** Every view, each once. */
const VIEWS = [
  ...['/', '/machines/producer', '/machines/consumerDynamic', '/markets', '/markets/coinbase/BTC-USD'],
  ...['/streams', '/data', '/health'],
]

interface Bar {
  readonly time: number
  readonly high: number
  readonly low: number
  readonly volume: number
}

interface Actor {
  readonly id: string
  readonly state: string
}

describe('the page in Chromium', needsChromium, () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  let url: string
  let browser: Browser

  before(async () => {
    await buildPage()
    folder = await makeFolder()
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
    simulator = await startSimulatorThread({ seed: 1, rate: 50 })
    platform = new PlatformProcess(join(folder.path, 'data'), ['--simulator', simulator.url])
    await platform.start()
    url = await platform.api()
    browser = await openBrowser(url)
  })
  after(async () => {
    await browser?.close()
    await platform?.kill()
    await simulator?.close()
    await folder?.remove()
  })

  const actors = async (): Promise<readonly Actor[]> =>
    ((await (await fetch(`${url}/v1/actors`)).json()) as { actors: readonly Actor[] }).actors

  test('lights the state that the API reports, and counts what the machines do', async () => {
    const { page } = browser
    await page.goto(`${url}/machines/coordinator`)
    const lit = async () =>
      page.locator('.chart .node.live').evaluateAll((nodes) => nodes.map(({ id }) => id))
    await until(
      'the state of the coordinator is lit',
      async () => (await lit()).join() === 'coordinator.active',
    )
    assert.equal((await actors()).find(({ id }) => id === 'coordinator')?.state, 'active')
    await page.goto(`${url}/machines/producer`)
    const edge = page.locator('[id="producer.fetchingData.DATA_READY.publishingFixed"] .count')
    const counted = async () => Number((await edge.textContent())?.replaceAll(',', ''))
    await until('the edge has a count', async () => (await counted()) > 0)
    const first = await counted()
    await until('it rises', async () => (await counted()) > first)
    await page.getByRole('cell', { name: 'DATA_READY' }).first().waitFor()
  })

  test('resets an actor after it has asked', async () => {
    const { page } = browser
    await page.goto(`${url}/machines/producer`)
    const reset = page.getByRole('button', { name: 'Reset …' })
    await reset.click()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await reset.click()
    await page.getByRole('dialog').getByRole('button', { name: 'Reset' }).click()
    await page.getByText('RESET was sent to producer').waitFor()
    const resets = async () =>
      (await (await fetch(`${url}/metrics`)).text()).match(/transitions_total\{.*event="RESET".*\} (\d+)/g)
    await until('the machine was reset once', async () => {
      const found = await resets()
      return found?.length === 1 && found[0]?.endsWith(' 1') === true
    })
  })

  test('the picture of the overview has rates', async () => {
    const { page } = browser
    await page.goto(url)
    await page
      .locator('[data-arrow="publish"]')
      .getByText(/^[1-9][\d.,K]*\/s$/)
      .waitFor()
    await page.locator('[data-part="producer"].good').waitFor()
    await page.getByRole('link', { name: /^Coordinator/ }).click()
    await until('it led to the machine', () => new URL(page.url()).pathname === '/machines/coordinator')
  })

  test('a form checks the expression as it is typed, and makes a stream that delivers', async () => {
    const { page } = browser
    await page.goto(`${url}/streams`)
    const where = page.getByLabel('Where')
    await where.fill('size >= "much"')
    await page.locator('[name="where"][aria-invalid="true"]').waitFor()
    const create = page.getByRole('button', { name: 'Create stream' })
    assert.equal(await create.isDisabled(), true)
    await page.getByLabel('Symbols').fill('*')
    await where.fill('side == "sell" && price > 0')
    await page.getByText(/It takes [1-9][\d,]* of the latest/).waitFor()
    assert.deepEqual(
      [...new Set(await page.locator('form .events td:nth-child(4)').allTextContents())],
      ['sell'],
    )
    await create.click()
    await until('it led to the stream', () => /^\/streams\/[0-9a-z]{26}$/.test(new URL(page.url()).pathname))
    await page.getByRole('heading', { name: 'trades of * where side == "sell" && price > 0' }).waitFor()
    await page.getByText(/^[1-9][\d,]* came/).waitFor()
    await page.getByRole('button', { name: 'TypeScript' }).click()
    await page.getByText('"where": "side == \\"sell\\" && price > 0"').waitFor()

    await page.getByRole('button', { name: 'Modify' }).click()
    await page.getByLabel('Where').fill('side == "buy"')
    await page.getByRole('button', { name: 'Change stream' }).click()
    await page.getByRole('heading', { name: 'trades of * where side == "buy"' }).waitFor()
    await until('only buys come', async () => {
      const sides = await page.locator('.events td:nth-child(4)').allTextContents()
      return sides.length > 0 && sides.every((side) => side === 'buy')
    })

    await page.getByRole('button', { name: 'Delete …' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await until('it led to the list', () => new URL(page.url()).pathname === '/streams')
  })

  test('asks the database, shows a table and a plot, and has the question in its address', async () => {
    const { page } = browser
    const sql = 'select n, n * n as square from generate_series(1, 12) n'
    await page.goto(`${url}/data?${new URLSearchParams({ sql })}`)
    await page.getByText(/^12 rows in/).waitFor()
    await page.getByRole('img', { name: 'square by n' }).waitFor()
    assert.equal(await page.locator('tbody tr').count(), 12)
    await page.getByLabel('One statement').fill('delete from trades')
    await page.getByRole('button', { name: 'Run' }).click()
    await page.locator('form .bad[role="status"]').waitFor()
    // The browser notes each answer that refuses something.
    const refused = browser.faults.findIndex((each) => each.includes('403') && each.endsWith('/v1/sql'))
    assert.ok(refused >= 0)
    browser.faults.splice(refused, 1)
  })

  for (const look of [{ colours: 'light' }, { colours: 'dark' }, { isPhone: true }] as const) {
    test(`can be read by everybody, and asks nobody else (${JSON.stringify(look)})`, async () => {
      await platform.post('/v1/streams', { channel: 'trade', symbols: ['BTC-*'], ttl: '1h' })
      const other = await openBrowser(url, look)
      try {
        for (const path of VIEWS) {
          await other.page.goto(url + path)
          await other.page.locator('main > *').first().waitFor()
          await other.page.locator('#ready.good').waitFor()
          if (path === '/streams') await other.page.locator('.stack-narrow tbody tr').first().waitFor()
          await assertAccessible(other.page, path)
          const overflow = await other.page.evaluate('document.documentElement.scrollWidth - innerWidth')
          assert.ok(Number(overflow) <= 0, `${path} is too wide by ${overflow}`)
        }
        assert.deepEqual(other.faults, [])
      } finally {
        await other.close()
      }
    })
  }

  test('the last candle of the chart is what the database has', async () => {
    const { page } = browser
    await page.goto(`${url}/markets/coinbase/BTC-USD`)
    await page.locator('.badge.good', { hasText: 'live' }).waitFor()
    await simulator.close()
    const shown = async () =>
      JSON.parse((await page.locator('[data-bar]').getAttribute('data-bar')) || '{}') as Bar
    const close = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.abs(a)
    await until('the candle equals SQL', async () => {
      const [stored] = await platform.sql<Bar & { ts: string }>(
        `select time_bucket('1 minute', ts) as ts, first(price, ts) as open, max(price) as high, min(price) as low,
         last(price, ts) as close, sum(size) as volume from trades
         where exchange = 'coinbase' and symbol = 'BTC-USD' group by 1 order by 1 desc limit 1`,
      )
      const bar = await shown()
      if (stored === undefined || bar.time !== Date.parse(stored.ts) / 1000) return false
      return (['high', 'low', 'volume'] as const).every((name) => close(bar[name], stored[name]))
    })
    await page.getByText(/TradingView/).waitFor()
  })

  test('nothing went wrong on the way', () => assert.deepEqual(browser.faults, []))
})

test(
  'a stream of best levels is asked for by the form, and a market shows its order book',
  needsChromium,
  async (t) => {
    await buildPage()
    const folder = await makeFolder()
    t.after(() => folder.remove())
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
    const simulator = await startSimulatorThread({ seed: 2, rate: 20, exchanges: ['kraken'] })
    t.after(() => simulator.close())
    const source = ['--simulator', `${simulator.url}/kraken`]
    const channels = { TAPELINE_SOURCE_CHANNELS: 'trade,quote,book' }
    const platform = new PlatformProcess(join(folder.path, 'data'), source, channels)
    t.after(() => platform.kill())
    await platform.start()
    const url = await platform.api()
    const browser = await openBrowser(url)
    t.after(() => browser.close())
    const { page } = browser

    await page.goto(`${url}/streams`)
    await page.getByLabel('Channel').selectOption('book')
    await page.getByLabel('Symbols').fill('BTC-USD')
    const levels = page.getByLabel('Best levels')
    await levels.fill('3')
    // The best levels come by a period, so that alone they are refused.
    await page.locator('[name="depth"][aria-invalid="true"]').waitFor()
    const create = page.getByRole('button', { name: 'Create stream' })
    assert.equal(await create.isDisabled(), true)
    await page.getByLabel('Latest every').fill('250ms')
    await page.getByText(/It takes [1-9][\d,]* of the latest/).waitFor()
    await create.click()
    await page.getByRole('heading', { name: 'books of BTC-USD 3 best levels every 250ms' }).waitFor()
    await page.getByText(/^[1-9][\d,]* came/).waitFor()

    await page.goto(`${url}/markets/kraken/BTC-USD`)
    const rows = page.locator('#book tbody tr')
    await until('the book has both sides', async () => {
      const sides = await page.locator('#book td:first-child').allTextContents()
      return sides.includes('ask') && sides.includes('bid')
    })
    const price = async (row: number) =>
      Number((await rows.nth(row).locator('td').nth(1).textContent())?.replaceAll(',', ''))
    const asks = await page.locator('#book td.down').count()
    assert.ok((await price(asks - 1)) > (await price(asks)), 'the best ask stands above the best bid')
    assert.deepEqual(browser.faults, [])
  },
)

test('all scripts of the page together are small', async () => {
  const assets = join(await buildPage(), 'assets')
  const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'))
  const bytes = scripts.reduce((all, name) => all + gzipSync(readFileSync(join(assets, name))).length, 0)
  assert.ok(bytes < MOST_SCRIPT_BYTES, `${bytes} bytes`)
})
