import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { makeFolder, PlatformProcess, until } from '../e2e/platform-process.ts'
import { StreamClient } from '../e2e/stream-client.ts'
import { openBrowser } from './browser.ts'
import { buildPage } from './built.ts'

/**
 * `npm run docs:pictures`: photographs the page of a running platform for `docs/`. It needs Chromium, and takes some minutes, so that
 * there is something to see.
 */

const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url))
const RATE = 200
/** So many trades make a few candles of each market. */
const LEAST_TRADES = 24_000
/** Live values come within this. */
const SETTLE_MS = 3_000
/** The overview draws what flowed in the last minute: this much of it makes a line. */
const LINES_MS = 45_000

interface Picture {
  readonly name: string
  readonly path: string
  readonly colours: 'light' | 'dark'
  readonly isPhone?: true
  /** Waits until the view shows what it is photographed for. */
  readonly ready: (page: Page) => Promise<unknown>
}

const PICTURES: readonly Picture[] = [
  { name: 'overview', path: '/', colours: 'light', ready: (page) => page.waitForTimeout(LINES_MS) },
  {
    ...{ name: 'statechart', path: '/machines/producer', colours: 'dark' },
    ready: (page) => page.locator('.chart .node.live').first().waitFor(),
  },
  {
    ...{ name: 'market', path: '/markets/coinbase/BTC-USD?interval=1m', colours: 'light' },
    ready: (page) => page.locator('canvas').first().waitFor(),
  },
  {
    ...{ name: 'streams', path: '/streams?channel=trade&symbols=BTC-*', colours: 'dark' },
    ready: (page) =>
      page
        .getByRole('button', { name: /create/i })
        .first()
        .waitFor(),
  },
  {
    ...{ name: 'health', path: '/health', colours: 'light', isPhone: true },
    ready: (page) => page.getByRole('heading').first().waitFor(),
  },
]

await buildPage()
await mkdir(FOLDER, { recursive: true })
const folder = await makeFolder()
let reader: StreamClient | undefined
const simulator = await startSimulatorThread({ seed: 1, rate: RATE })
const platform = new PlatformProcess(join(folder.path, 'data'), ['--simulator', simulator.url])
try {
  await platform.start()
  const url = await platform.api()
  const countOf = async (): Promise<number> => {
    const answer = await fetch(`${url}/v1/sql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql: 'select count(*)::int as n from trades' }),
    })
    const { rows } = (await answer.json()) as { readonly rows: readonly { readonly n: number }[] }
    return rows[0]?.n ?? 0
  }
  console.error('trading for two minutes ...')
  // Somebody reads, so that all ways of the picture are in use.
  reader = await StreamClient.open(url)
  await reader.request({ channel: 'trade', symbols: ['*'] })
  await until('trades to show', async () => (await countOf()) >= LEAST_TRADES, 300_000)
  for (const { name, path, colours, isPhone = false, ready } of PICTURES) {
    const browser = await openBrowser(url, { colours, isPhone })
    try {
      await browser.page.goto(url + path)
      await ready(browser.page)
      await browser.page.waitForTimeout(SETTLE_MS)
      await browser.page.screenshot({ path: join(FOLDER, `${name}.png`) })
      console.error(`docs/pictures/${name}.png`)
    } finally {
      await browser.close()
    }
  }
} finally {
  reader?.socket.terminate()
  await platform.kill()
  await simulator.close()
  await folder.remove()
}
