import assert from 'node:assert/strict'
import { before, describe, type TestContext, test } from 'node:test'
import { until } from '../e2e/platform-process.ts'
import { startPlatform } from '../gateway/platform.ts'
import { assertAccessible, needsChromium, openBrowser } from './browser.ts'
import { buildPage } from './built.ts'

/** A gateway over parts in memory, and a browser on it. */
async function setUp(t: TestContext, overrides: Parameters<typeof startPlatform>[1] = {}) {
  const platform = await startPlatform(t, overrides)
  const browser = await openBrowser(platform.url)
  t.after(() => browser.close())
  return { platform, browser }
}

describe('the views of the page', needsChromium, () => {
  before(async () => {
    await buildPage()
  })

  test('a machine that fails is lit as such, with its failure, and is reset', async (t) => {
    const { platform, browser } = await setUp(t)
    const { page } = browser
    await page.goto(`${platform.url}/machines/producer`)
    const lit = async () =>
      page.locator('.chart .node.live').evaluateAll((nodes) => nodes.map(({ id }) => id))
    await until('the error is lit', async () => (await lit()).join() === 'producer.error')
    await page.getByText('no way delivers').waitFor()
    await assertAccessible(page, 'a machine in error')
    await page.getByRole('button', { name: 'Reset …' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Reset' }).click()
    await until('it was reset', () => platform.actors.resets.length > 0)
    assert.deepEqual(platform.actors.resets, ['producer-0'])
    assert.deepEqual(browser.faults, [])
  })

  test('whatever an application calls itself stays text', async (t) => {
    const { platform, browser } = await setUp(t)
    const name = '<img src=x onerror="document.title=1">'
    platform.desk.add('s1', name)
    platform.alerts.push({
      ...{ id: name, instance: name, code: name, message: name },
      since: new Date().toISOString(),
    })
    for (const path of ['/streams', '/health', '/']) {
      await browser.page.goto(platform.url + path)
      await browser.page.getByText(name).first().waitFor()
      assert.equal(await browser.page.locator('img').count(), 0, path)
    }
    assert.deepEqual(browser.faults, [])
  })

  test('with keys the page asks for one, says when it is wrong, keeps it in the tab, and sends it', async (t) => {
    const keys = [{ name: 'admin', key: 'admin-key' }]
    const { platform, browser } = await setUp(t, { keys })
    const { page } = browser
    await page.goto(`${platform.url}/machines/producer`)
    const key = page.getByLabel('API key')
    await key.fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('This key is not valid.').waitFor()
    await assertAccessible(page, 'sign in')
    await key.fill('admin-key')
    await key.press('Enter')
    await page.locator('.badge.good', { hasText: 'live' }).waitFor()
    await page.reload()
    await page.locator('.badge.good', { hasText: 'live' }).waitFor()
    assert.equal(await page.evaluate('localStorage.length + document.cookie.length'), 0)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await key.waitFor()
    const odd = browser.faults.filter((fault) => !fault.includes('status of 401'))
    assert.deepEqual(odd, [])
    assert.ok(platform.logged.every((line) => !line.includes('admin-key')))
  })

  test('a platform that goes away is said to, and one that comes back too', async (t) => {
    const { platform, browser } = await setUp(t)
    const { page } = browser
    await page.goto(`${platform.url}/health`)
    await page.locator('#ready.good').waitFor()
    await platform.gateway.close()
    await page.locator('#ready.bad', { hasText: 'no answer' }).waitFor()
    await page.locator('main.stale').waitFor()
    await startPlatform(t, { port: platform.gateway.port })
    await page.locator('#ready.good').waitFor()
    await page.locator('main:not(.stale)').waitFor()
  })

  test('a stream is not called live while nobody answers', async (t) => {
    const { platform, browser } = await setUp(t)
    const { page } = browser
    platform.desk.add('s1', 'local')
    await page.goto(`${platform.url}/streams/s1`)
    const badge = page.locator('main .badge')
    await badge.filter({ hasText: /live|waits/ }).waitFor()
    await platform.gateway.close()
    await badge.filter({ hasText: 'no answer' }).waitFor()
  })

  test('what an address names that is not there is said, and leads on', async (t) => {
    const { platform, browser } = await setUp(t)
    const { page } = browser
    for (const [path, title, next] of [
      ['/nowhere', 'There is no such page', '/'],
      ['/machines/nowhere', 'There is no such machine', '/machines'],
      ['/streams/nowhere', 'There is no such stream', '/streams'],
    ] as const) {
      await page.goto(platform.url + path)
      await page.getByRole('heading', { name: title }).waitFor()
      await page.locator('main a').click()
      await until(`it leads to ${next}`, () => new URL(page.url()).pathname === next)
    }
    // The browser notes each answer of 404.
    assert.deepEqual(
      browser.faults.filter((fault) => !fault.includes('status of 404')),
      [],
    )
  })

  test('a key that may only read is not offered what it may not do, or told so', async (t) => {
    const { platform, browser } = await setUp(t, { keys: [{ name: 'admin', key: 'admin-key' }] })
    const made = await fetch(`${platform.url}/v1/keys`, {
      method: 'POST',
      headers: { authorization: 'Bearer admin-key', 'content-type': 'application/json' },
      body: JSON.stringify({ app: 'reader', scopes: ['read'] }),
    })
    const { key } = (await made.json()) as { key: string }
    const { page } = browser
    await page.goto(`${platform.url}/machines/producer`)
    await page.getByLabel('API key').fill(key)
    await page.keyboard.press('Enter')
    await page.getByText('Steps and counts are shown with an admin key.').waitFor()
    assert.equal(await page.getByRole('button', { name: 'Reset …' }).isDisabled(), true)
    await page.goto(`${platform.url}/data`)
    await page.getByText('it needs an admin key').waitFor()
    await page.goto(`${platform.url}/health`)
    await page.getByText('Dead letters are not shown').waitFor()
    assert.equal(await page.getByText('No record was refused.').isVisible(), false)
  })

  test('everything can be reached by the keyboard', async (t) => {
    const { platform, browser } = await setUp(t)
    const { page } = browser
    await page.goto(platform.url)
    await page.locator('#ready.good').waitFor()
    const seen = new Set<string>()
    for (let presses = 0; presses < 40; presses++) {
      await page.keyboard.press('Tab')
      seen.add(
        String(
          await page.evaluate(
            'document.activeElement.getAttribute("href") ?? document.activeElement.tagName',
          ),
        ),
      )
    }
    for (const path of [
      '#view',
      '/machines',
      '/markets',
      '/streams',
      '/data',
      '/health',
      '/machines/coordinator',
    ])
      assert.ok(seen.has(path), `${path} of ${[...seen].join(' ')}`)
  })
})
