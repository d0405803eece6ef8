import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from '../servers/free-port.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, until } from './platform-process.ts'

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))

/** Commands of the page that no test runs, and why. Each other line of its blocks is run, and gives what the page shows. */
const NOT_RUN: readonly (readonly [command: RegExp, why: string])[] = [
  [
    /^npm ci && npm start$/,
    'npm ci has been run, and would take the modules from under the other tests; npm start is run by itself',
  ],
  [
    /servers\.yaml|^export TAPELINE_STORE_PASSWORD/,
    'needs servers: test/e2e/start-up-together.test.ts runs the same roles there',
  ],
]

interface Block {
  readonly language: string
  readonly lines: readonly string[]
}

interface Step {
  readonly command: string
  readonly shown: readonly string[]
}

/** The code blocks of a page. */
function blocksOf(page: string): readonly Block[] {
  return [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    language,
    lines: text.trimEnd().split('\n'),
  }))
}

/** The commands of a block: each line of `sh`, and in `console` those behind a prompt, with what they show. */
function stepsOf({ language, lines }: Block): readonly Step[] {
  if (language === 'sh') return lines.map((command) => ({ command, shown: [] }))
  if (language !== 'console') return []
  const steps: { command: string; shown: string[] }[] = []
  for (const line of lines) {
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), shown: [] })
    else steps.at(-1)?.shown.push(line)
  }
  return steps
}

/** What differs from run to run, as a pattern that any run fits: times, ids, cursors, numbers, markets, states, the width of columns. */
const CHANGING: readonly (readonly [shown: RegExp, pattern: string])[] = [
  [/^"next":("[\w-]+"|null)/, '"next":("[\\w-]+"|null)'],
  [/^"(idle|active|fetchingData)"/, '"\\w+"'],
  [/^\d{4}-\d\d-\d\dT[\d:.]+Z/, '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z'],
  [/^[0-9a-z]{26}\b/, '[0-9a-z]{26}'],
  [/^(binance|coinbase|kraken|bitstamp|cccagg)\b/, '[a-z]+'],
  [/^[A-Z]{2,5}-[A-Z]{3,4}\b/, '[A-Z]{2,5}-[A-Z]{3,4}'],
  [/^(buy|sell|unknown)\b/, '(buy|sell|unknown)'],
  [/^-?\d+(\.\d+)?(e-?\d+)?/, '-?\\d+(\\.\\d+)?(e-?\\d+)?'],
  [/^-{2,}/, '-+'],
  [/^ +/, ' +'],
]

function patternOf(line: string): RegExp {
  let pattern = ''
  for (let rest = line; rest !== ''; ) {
    const known = CHANGING.find(([shown]) => shown.test(rest))
    const [piece = ''] = known
      ? (known[0].exec(rest) ?? [])
      : [/^[a-z_]+/i.exec(rest)?.[0] ?? rest.slice(0, 1)]
    pattern += known ? known[1] : piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    rest = rest.slice(piece.length)
  }
  return new RegExp(`^${pattern}$`)
}

describe('the quick start', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let page: string
  let port: number
  let platform: { readonly child: ChildProcess; readonly output: () => string } | undefined
  /** Ids of the page, and those of this run that stand in their place. */
  const ids = new Map<string, string>()
  /** Lines of the page that set up the shell, such as its alias. */
  const setUp: string[] = []

  before(async () => {
    folder = await makeFolder()
    port = await freePort()
    page = await readFile(join(CHECKOUT, 'docs/quick-start.md'), 'utf8')
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

  /** Runs lines in a shell in the checkout. */
  const shell = (
    ...lines: readonly string[]
  ): { readonly child: ChildProcess; readonly output: () => string } => {
    const script = ['shopt -s expand_aliases', ...setUp, ...lines].map(here).join('\n')
    const child = spawn('bash', ['-c', script], {
      cwd: CHECKOUT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        CRYPTOCOMPARE_API_KEY: '',
        TAPELINE_DATA: join(folder.path, 'data'),
        TAPELINE_GATEWAY_PORT: String(port),
      },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    return { child, output: () => output }
  }

  const interrupt = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    process.kill(-(child.pid ?? 0), 'SIGINT')
    await closed
  }

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
    if (platform) await interrupt(platform.child)
    platform = undefined
  }

  /** Runs a command until its output has every line that is shown, in their order; what goes on by itself is ended then. */
  const run = async ({ command, shown }: Step): Promise<void> => {
    const { child, output } = shell(command)
    const patterns = shown.map((line) => patternOf(here(line)))
    const lines = (): string[] => output().split('\n')
    const found = (): boolean => {
      let at = -1
      return patterns.every((pattern) => {
        at = lines().findIndex((line, i) => i > at && pattern.test(line.trimEnd()))
        return at >= 0
      })
    }
    try {
      await until(`${command} shows what the page shows`, () => found() || child.exitCode !== null, 60_000)
      assert.ok(found(), `${command} showed:\n${output()}\nnot:\n${patterns.join('\n')}`)
    } finally {
      await interrupt(child)
    }
    const own = output().match(/\b[0-9a-z]{26}\b/g) ?? []
    for (const [i, id] of [...new Set(shown.join('\n').match(/\b[0-9a-z]{26}\b/g) ?? [])].entries())
      if (own[i] !== undefined && !ids.has(id)) ids.set(id, [...new Set(own)][i] ?? '')
  }

  test('npm start and each command behind it give what the page shows', async (t) => {
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
      await interrupt(reader.child)
    }
    const [, listing = ''] = /`(T tail market\.status [^`]+)`/.exec(page) ?? []
    await run({ command: listing, shown: [] })
    const { child, output } = shell(listing)
    await once(child, 'close')
    assert.match(output(), /\bgap\b/)
  })
})
