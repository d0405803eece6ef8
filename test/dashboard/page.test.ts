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

const VIEWS = ['/', '/machines/producer', '/machines/consumerDynamic', '/health'] as const

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

  for (const look of [{ colours: 'light' }, { colours: 'dark' }, { isPhone: true }] as const) {
    test(`can be read by everybody, and asks nobody else (${JSON.stringify(look)})`, async () => {
      const other = await openBrowser(url, look)
      try {
        for (const path of VIEWS) {
          await other.page.goto(url + path)
          await other.page.locator('main > *').first().waitFor()
          await other.page.locator('#ready.good').waitFor()
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

  test('nothing went wrong on the way', () => assert.deepEqual(browser.faults, []))
})

test('all scripts of the page together are small', async () => {
  const assets = join(await buildPage(), 'assets')
  const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'))
  const bytes = scripts.reduce((all, name) => all + gzipSync(readFileSync(join(assets, name))).length, 0)
  assert.ok(bytes < MOST_SCRIPT_BYTES, `${bytes} bytes`)
})
