import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { openBrowser } from '../../test/dashboard/browser.ts'
import { buildPage } from '../../test/dashboard/built.ts'
import { type Bench, median, wholeNumber } from '../bench.ts'
import { MeasuredPlatform } from '../platform/measured.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'

const ROUNDS = 5
const RATE = 50

/** Each view, and what of it is drawn once its first data is there. */
const VIEWS = {
  '/': '[data-part="producer"].good',
  '/machines/producer': '.chart .node.live',
  '/markets': 'tbody tr',
  '/health': '#alerts .empty',
} as const

export const bench: Bench = {
  summary:
    'from the request of a view to its first data on the screen, in a new Chromium each time, against an answer of /healthz',
  run: (_options, print) =>
    inTemporaryFolder(async (data) => {
      await buildPage()
      const simulator = await startSimulatorThread({ rate: RATE, seed: 1 })
      const { url: restUrl, websocketUrl: url } = simulator
      const platform = new MeasuredPlatform({
        ...{ data: join(data, 'data'), gateway: { port: 0 } },
        source: { kind: 'cryptocompare', url, restUrl },
      })
      try {
        await platform.start()
        for (const [path, drawn] of Object.entries(VIEWS)) {
          const views: Load[] = []
          const answers: Load[] = []
          for (let round = 0; round < ROUNDS; round++) {
            answers.push(await load(platform, '/healthz', 'pre'))
            views.push(await load(platform, path, drawn))
          }
          for (const line of describe(path, views, answers)) print(line)
        }
      } finally {
        await platform.kill()
        await simulator.close()
      }
    }),
}

interface Load {
  readonly millis: number
  /** Processor time of the platform, in milliseconds. */
  readonly cpuMillis: number
  /** Time that the browser worked on the page, in milliseconds. */
  readonly workMillis: number
  readonly requests: number
  /** On the way: compressed where the server compresses. */
  readonly bytes: number
}

async function load(platform: MeasuredPlatform, path: string, drawn: string): Promise<Load> {
  const { page, close } = await openBrowser(platform.api)
  try {
    const inside = await page.context().newCDPSession(page)
    await inside.send('Performance.enable')
    const before = (await platform.usage('cpu')).cpuMicros
    const began = performance.now()
    await page.goto(platform.api + path, { waitUntil: 'commit' })
    await page.locator(drawn).first().waitFor()
    const millis = performance.now() - began
    const cpuMillis = ((await platform.usage('cpu')).cpuMicros - before) / 1_000
    const { metrics } = await inside.send('Performance.getMetrics')
    const worked = metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN
    return { millis, cpuMillis, workMillis: worked * 1_000, ...(await transferred(page)) }
  } finally {
    await close()
  }
}

/** What was asked for until now, as the browser counts it. */
async function transferred(page: Page): Promise<Pick<Load, 'requests' | 'bytes'>> {
  const sizes = await page.evaluate<number[]>(
    "['navigation', 'resource'].flatMap((type) => performance.getEntriesByType(type)).map((each) => each.transferSize)",
  )
  return { requests: sizes.length, bytes: sizes.reduce((all, size) => all + size, 0) }
}

function* describe(path: string, views: readonly Load[], answers: readonly Load[]): Generator<string> {
  const of = (loads: readonly Load[], name: keyof Load): number => median(loads.map((load) => load[name]))
  const all = (loads: readonly Load[]): string => loads.map(({ millis }) => wholeNumber(millis)).join(', ')
  yield `  ${path}: ${wholeNumber(of(views, 'millis'))} ms (${all(views)}), /healthz ${wholeNumber(of(answers, 'millis'))} ms (${all(answers)})`
  yield `    ${of(views, 'requests')} requests, ${(of(views, 'bytes') / 1_000).toFixed(1)} kB; the browser worked ${wholeNumber(of(views, 'workMillis'))} ms, the platform ${wholeNumber(of(views, 'cpuMillis'))} ms more or less`
}
