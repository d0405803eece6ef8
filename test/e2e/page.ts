import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './platform-process.ts'

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))

export interface Block {
  readonly language: string
  readonly lines: readonly string[]
}

export interface Step {
  readonly command: string
  readonly shown: readonly string[]
}

/** The code blocks of a page. */
export function blocksOf(page: string): readonly Block[] {
  return [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    language,
    lines: text.trimEnd().split('\n'),
  }))
}

/** The commands of a block: each line of `sh`, and in `console` those after a prompt, with what they show. */
export function stepsOf({ language, lines }: Block): readonly Step[] {
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

/** A command that runs, and what it has written so far. */
export interface Running {
  readonly child: ChildProcess
  readonly output: () => string
}

export interface PageShell {
  /** Runs lines in a shell in the checkout, after those that set it up. */
  shell(...lines: readonly string[]): Running
  /** Runs a command until its output has every line that is shown, in their order; what goes on by itself is ended then. Gives it. */
  run(step: Step): Promise<string>
}

interface PageShellParts {
  /** A line of the page with the addresses and the ids of this run. */
  readonly here: (text: string) => string
  /** Lines of the page that set up the shell, such as its alias. */
  readonly setUp: readonly string[]
  readonly environment: () => Readonly<Record<string, string>>
}

/** The text of a page of the docs. */
export function readPage(name: string): Promise<string> {
  return readFile(join(CHECKOUT, 'docs', name), 'utf8')
}

/** Sends Ctrl-C to a command and all that it has started; resolves when it has ended. */
export async function interruptAll({ child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  process.kill(-(child.pid ?? 0), 'SIGINT')
  await closed
}

/** Runs what a page says to type. */
export function openPageShell({ here, setUp, environment }: PageShellParts): PageShell {
  const shell = (...lines: readonly string[]): Running => {
    const script = ['shopt -s expand_aliases', ...setUp, ...lines].map(here).join('\n')
    const child = spawn('bash', ['-c', script], {
      cwd: CHECKOUT,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, CRYPTOCOMPARE_API_KEY: '', ...environment() },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    return { child, output: () => output }
  }
  return {
    shell,
    async run({ command, shown }) {
      const running = shell(command)
      const { child, output } = running
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
        await interruptAll(running)
      }
      return output()
    },
  }
}
