import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createContext, Script } from 'node:vm'
import { PAGE_SCRIPT } from '../../src/gateway/page-script.ts'
import { type Platform, startPlatform } from './platform.ts'

/** As much of an element as the page uses. */
class FakeElement {
  textContent = ''
  title = ''
  className = ''
  value = ''
  hidden = false
  readonly children: FakeElement[] = []
  readonly #listeners = new Map<string, (event: { preventDefault(): void }) => void>()

  append(...children: FakeElement[]): void {
    this.children.push(...children)
  }

  replaceChildren(...children: FakeElement[]): void {
    this.children.splice(0, this.children.length, ...children)
  }

  addEventListener(name: string, listener: (event: { preventDefault(): void }) => void): void {
    this.#listeners.set(name, listener)
  }

  dispatch(name: string): void {
    this.#listeners.get(name)?.({ preventDefault: () => {} })
  }

  /** The texts of the cells of each row below the heads. */
  rows(): string[][] {
    return this.children.slice(1).map((row) => row.children.map(({ textContent }) => textContent))
  }
}

/** The page's script in a small browser: real requests, and a clock that the test moves. */
function openPage({ url }: Platform) {
  const elements = new Map<string, FakeElement>()
  const refreshes: (() => unknown)[] = []
  const keep = new Map<string, string>()
  let now = 1_000_000
  const byId = (id: string) => {
    const element = elements.get(id) ?? new FakeElement()
    elements.set(id, element)
    return element
  }
  const browser = {
    document: { hidden: false, getElementById: byId, createElement: () => new FakeElement() },
    sessionStorage: {
      getItem: (name: string) => keep.get(name) ?? null,
      setItem: (name: string, value: string) => keep.set(name, value),
    },
    fetch: (path: string, init: RequestInit) => fetch(url + path, init),
    setTimeout: (callback: () => unknown) => refreshes.push(callback),
    performance: { now: () => now },
    AbortSignal,
  }
  new Script(PAGE_SCRIPT).runInContext(createContext(browser))
  return {
    byId,
    /** Waits until the page has refreshed itself. */
    settled: async () => {
      while (refreshes.length === 0) await new Promise(setImmediate)
    },
    refresh: async (millis: number) => {
      now += millis
      const [next] = refreshes.splice(0)
      await next?.()
    },
  }
}

const timestamp = Date.parse('2026-01-01T00:00:00Z')
const record = (offset: number) => {
  return { offset, timestamp, key: null, headers: { v: 1, kind: 'event' as const }, value: null }
}

describe('the script of the first page', () => {
  test('shows actors, streams, topics and alerts as text, with rates between two refreshes', async (t) => {
    const platform = await startPlatform(t)
    const { desk, broker, alerts } = platform
    desk.add('s1', '<img src=x onerror=alert(1)>')
    broker.add('app.s1', [record(0), record(1)])
    const page = openPage(platform)
    await page.settled()
    assert.equal(page.byId('ready').textContent, 'ready')
    assert.equal(page.byId('alerts-section').hidden, true)
    const [actor] = page.byId('actors').rows()
    assert.deepEqual(actor?.slice(0, 3), ['producer-0', 'producer', 'error'])
    assert.equal(actor?.at(-1), 'SOURCE_UNAVAILABLE: no way delivers')
    assert.deepEqual(page.byId('streams').rows(), [
      ['s1', '<img src=x onerror=alert(1)>', 'trade', '*', 'all', '0', ''],
    ])
    assert.deepEqual(page.byId('topics').rows(), [['app.s1', '1', '2', '0']])

    broker.append('app.s1', ...Array.from({ length: 100 }, (_, i) => record(i + 2)))
    alerts.push({
      id: 'store',
      instance: 'here',
      code: 'STORE_UNAVAILABLE',
      message: 'no answer',
      since: new Date().toISOString(),
    })
    platform.checks.push({ name: 'store', ok: false, detail: 'no answer' })
    desk.missing.push({ field: 'symbols', value: 'BCT-*', message: 'no market', near: ['BTC-*'] })
    await page.refresh(2000)
    assert.deepEqual(page.byId('topics').rows(), [['app.s1', '1', '102', '50']])
    assert.deepEqual(page.byId('streams').rows()[0]?.slice(-2), ['50', 'BCT-*: no market; near to it: BTC-*'])
    assert.deepEqual(page.byId('alerts').rows()[0]?.slice(0, 3), ['store', 'STORE_UNAVAILABLE', 'no answer'])
    assert.equal(page.byId('alerts-section').hidden, false)
    assert.equal(page.byId('ready').textContent, 'not ready')
    assert.equal(page.byId('note').textContent, 'store: no answer')
  })

  test('asks for a key where one is needed, and says when nobody answers', async (t) => {
    const platform = await startPlatform(t, { keys: [{ name: 'alice', key: 'alice-key' }] })
    const page = openPage(platform)
    await page.settled()
    assert.equal(page.byId('sign-in').hidden, false)
    page.byId('key').value = 'alice-key'
    page.byId('sign-in').dispatch('submit')
    while (!page.byId('sign-in').hidden) await new Promise(setImmediate)
    assert.equal(page.byId('actors').rows().length, 1)

    await platform.gateway.close()
    await page.refresh(2000)
    assert.equal(page.byId('ready').textContent, 'no answer')
  })
})
