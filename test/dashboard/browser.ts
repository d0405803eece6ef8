import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { requireServer } from '../servers/availability.ts'

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const LONGEST_MS = 60_000

/** For `test`: skips where there is no Chromium. */
export const needsChromium = requireServer(
  CHROMIUM === undefined
    ? 'no Chromium (apt-get install chromium): the page was not tried in a browser'
    : undefined,
)

/** A browser that notes what a page must not do. */
export interface Browser {
  readonly page: Page
  /** Requests to elsewhere, errors on the console, failures of scripts: each as a line. */
  readonly faults: string[]
  close(): Promise<void>
}

interface Look {
  readonly colours?: 'light' | 'dark'
  readonly isPhone?: boolean
}

/** Opens a browser on a platform. Requests to any other address are noted and go nowhere. */
export async function openBrowser(
  url: string,
  { colours = 'light', isPhone = false }: Look = {},
): Promise<Browser> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-chromium-'))
  const context: BrowserContext = await chromium.launchPersistentContext(folder, {
    ...(CHROMIUM !== undefined && { executablePath: CHROMIUM }),
    headless: true,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
    colorScheme: colours,
    reducedMotion: 'reduce',
    viewport: isPhone ? { width: 390, height: 800 } : { width: 1280, height: 860 },
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  context.setDefaultTimeout(LONGEST_MS)
  const faults: string[] = []
  const page = context.pages()[0] ?? (await context.newPage())
  const isOurs = (address: string): boolean => address.startsWith(url) || /^(data|blob|about):/.test(address)
  await context.route(
    (address) => !isOurs(String(address)),
    (route) => {
      faults.push(`asked ${route.request().url()}`)
      return route.abort()
    },
  )
  page.on('websocket', (socket) => {
    if (!socket.url().startsWith(url.replace('http', 'ws'))) faults.push(`connected to ${socket.url()}`)
  })
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()} ${message.location().url}`)
  })
  page.on('pageerror', (error) => faults.push(`failed: ${error.stack}`))
  return {
    page,
    faults,
    async close() {
      await context.close()
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** What axe finds on a page that is serious or worse. */
export async function assertAccessible(page: Page, where: string): Promise<void> {
  const source = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  await page.evaluate(source)
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: readonly Violation[] }> } }
    interface Violation {
      readonly id: string
      readonly impact: string
      readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
    }
    return (await axe.run()).violations.map(({ id, impact, nodes }) => ({
      ...{ id, impact },
      nodes: nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`),
    }))
  })
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  assert.deepEqual(serious, [], where)
}
