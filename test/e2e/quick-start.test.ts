import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { freePort } from '../servers/free-port.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { blocksOf, interruptAll, openPageShell, type Running, readPage, type Step, stepsOf } from './page.ts'
import { makeFolder, until } from './platform-process.ts'

/** Commands of the page that no test runs, and why. Each other line of its blocks is run, and gives what the page shows. */
const NOT_RUN: readonly (readonly [command: RegExp, why: string])[] = [
  [
    /^npm ci && npm start$/,
    'npm ci has been run, and would take the modules from under the other tests; npm start is run by itself',
  ],
  [
    /servers\.yaml|^export TAPELINE_STORE_PASSWORD/,
    'needs servers: quick-start-servers.long.test.ts runs it there',
  ],
]

/** What the last part names within its sentences, and what it must give; null where no test runs it, for the reason beside it. */
const NAMED: Readonly<Record<string, RegExp | null>> = {
  // Needs the network.
  'npm start -- --live': null,
  // Needs a configuration of one's own; the example is tested with its page, and the start with servers.
  'T up': null,
  'npm start': null,
  'T actors': /^producer /m,
  // The restart before it has left a gap, which stands among the alerts for a while.
  'T doctor': /^(All is well\.|0 failed, 1 warning)$/m,
  '/': /<title>Tapeline<\/title>/,
  'http://127.0.0.1:8080/docs': /<title>Tapeline API<\/title>/,
}

describe('the quick start', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let page: string
  let port: number
  let platform: Running | undefined
  /** Ids of the page, and those of this run that stand in their place. */
  const ids = new Map<string, string>()
  /** Lines of the page that set up the shell, such as its alias. */
  const setUp: string[] = []

  before(async () => {
    folder = await makeFolder()
    port = await freePort()
    page = await readPage('quick-start.md')
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
  })
  after(async () => {
    await stop()
    await folder.remove()
  })

  /** A command of the page with the address and the ids of this run. */
  const here = (text: string): string =>
    [...ids]
      .reduce((line, [shown, own]) => line.replaceAll(shown, own), text)
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)

  const { shell, run: runStep } = openPageShell({
    ...{ here, setUp },
    environment: () => ({
      TAPELINE_DATA: join(folder.path, 'data'),
      TAPELINE_GATEWAY_PORT: String(port),
    }),
  })

  const start = async (): Promise<void> => {
    platform = shell('npm start')
    await until(
      'the platform is ready',
      async () => {
        assert.equal(platform?.child.exitCode, null, platform?.output())
        return (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok === true
      },
      60_000,
    )
  }

  const stop = async (): Promise<void> => {
    if (platform) await interruptAll(platform)
    platform = undefined
  }

  /** Runs a command of the page; ids that it shows are those of this run from then on. */
  const run = async (step: Step): Promise<void> => {
    const idsIn = (text: string): string[] => [...new Set(text.match(/\b[0-9a-z]{26}\b/g) ?? [])]
    const own = idsIn(await runStep(step))
    for (const [i, id] of idsIn(step.shown.join('\n')).entries())
      if (own[i] !== undefined && !ids.has(id)) ids.set(id, own[i])
  }

  test('npm start and each command after it give what the page shows', async (t) => {
    await start()
    const count = async (): Promise<number> => {
      const body = JSON.stringify({ sql: 'select count(distinct (exchange, symbol)) as n from trades' })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`http://127.0.0.1:${port}/v1/sql`, { method: 'POST', headers, body })
      return Number(((await answer.json()) as { rows?: { n: number }[] }).rows?.[0]?.n ?? 0)
    }
    await until('markets have traded', async () => (await count()) > 12, 60_000)
    for (const block of blocksOf(page)) {
      for (const step of stepsOf(block)) {
        const known = NOT_RUN.find(([command]) => command.test(step.command))
        if (known) t.diagnostic(`not run: ${step.command} (${known[1]})`)
        else if (step.command.startsWith('alias ')) setUp.push(step.command)
        else await run(step)
      }
    }
  })

  test('its program goes on over a restart, and the gap is listed', async () => {
    const program = blocksOf(page).find(({ language }) => language === 'js')
    const [, name] = /Save it as `([\w.]+)`/.exec(page) ?? []
    assert.ok(program && name, 'the page has a program and its name')
    const file = join(folder.path, name)
    await writeFile(file, here(program.lines.join('\n')))
    const reader = shell(`npx node ${file}`)
    try {
      const traded = /^[a-z]+ BTC-[A-Z]+ (buy|sell|unknown) [\d.e-]+ [\d.]+$/gm
      const trades = (): number => reader.output().match(traded)?.length ?? 0
      await until('it prints trades', () => trades() > 0, 60_000)
      await stop()
      const before = trades()
      await start()
      await until('it goes on', () => trades() > before, 60_000)
      assert.doesNotMatch(reader.output(), /Error|history is gone/)
    } finally {
      await interruptAll(reader)
    }
    const [, listing = ''] = /`(T tail market\.status [^`]+)`/.exec(page) ?? []
    await run({ command: listing, shown: [] })
    await until('the gap is listed', async () => {
      const { child, output } = shell(listing)
      await once(child, 'close')
      return /\bgap\b/.test(output())
    })
  })

  test('what it names to go on with is there', async () => {
    const [, part = ''] = /^## 6\. What next\n(.*)/ms.exec(page) ?? []
    const named = [...new Set([...part.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text))]
    assert.deepEqual(named.toSorted(), Object.keys(NAMED).toSorted())
    for (const [text, expected] of Object.entries(NAMED)) {
      if (expected === null) continue
      if (text.startsWith('T ')) {
        // The questions of `doctor` have seconds, which a busy machine may take.
        await until(`${text} gives ${expected}`, async () => {
          const { child, output } = shell(text)
          await once(child, 'close')
          return expected.test(output())
        })
      } else {
        const address = new URL(here(text), `http://127.0.0.1:${port}`)
        assert.match(await (await fetch(address)).text(), expected, text)
      }
    }
    for (const [, file = ''] of part.matchAll(/\]\(([^)#]+)/g)) await readPage(file)
  })
})
