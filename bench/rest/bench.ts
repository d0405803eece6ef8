import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, wholeNumber } from '../bench.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { type RunningDemo, startDemo } from './demo.ts'

/** Code is compiled and caches are filled by then. */
const SETTLE_SECONDS = 60
const CPU_SECONDS = 60
const MINUTES_AFTER = 10
/** Each takes much memory, or all the time that it is given. */
const HEAVY = [
  `select length(repeat(repeat('x', 10000), 30000))`,
  `select g, repeat('y', 100000) from generate_series(1, 100000) g`,
  `select string_agg(repeat('z', 1000), '') from generate_series(1, 1000000)`,
  `select a, b from generate_series(1, 10000) a, generate_series(1, 10000) b order by random()`,
]

export const bench: Bench = {
  summary: 'what npm start costs: its processor time, and its memory before, during and after heavy SQL',
  run: ({ sql, minutes = MINUTES_AFTER }, print) =>
    inTemporaryFolder(async (folder) => {
      const statements = sql === undefined ? HEAVY : await readStatements(sql)
      const demo = await startDemo(join(folder, 'data'))
      try {
        print(`  processor: ${await describeProcessor(demo)}`)
        for await (const line of describeMemory(demo, statements, minutes)) print(line)
      } finally {
        await demo.stop()
      }
    }),
}

/** One statement a line; empty lines and those that begin with # are passed over. */
async function readStatements(file: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n')
  return lines.filter((line) => line.trim() !== '' && !line.startsWith('#'))
}

async function describeProcessor(demo: RunningDemo): Promise<string> {
  await delay(SETTLE_SECONDS * 1000)
  const [before, began] = [await demo.usage(), performance.now()]
  await delay(CPU_SECONDS * 1000)
  const after = await demo.usage()
  const seconds = (performance.now() - began) / 1000
  const share = (after.cpuSeconds - before.cpuSeconds) / seconds
  const rate = (after.trades - before.trades) / seconds
  return `${(share * 100).toFixed(1)} % of a core at ${rate.toFixed(0)} trades/s, over ${seconds.toFixed(0)} s after ${SETTLE_SECONDS}`
}

async function* describeMemory(
  demo: RunningDemo,
  statements: readonly string[],
  minutes: number,
): AsyncGenerator<string> {
  const megabytes = async (): Promise<number> => (await demo.usage()).rssBytes / 1e6
  yield `  memory before: ${wholeNumber(await megabytes())} MB`
  let most = 0
  const outcomes = new Map<string, number>()
  for (const statement of statements) {
    const asked = demo.ask(statement)
    let isAnswered = false
    const answered = asked.finally(() => {
      isAnswered = true
    })
    while (!isAnswered) {
      most = Math.max(most, await megabytes())
      await Promise.race([answered, delay(100)])
    }
    const outcome = await asked
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  const list = [...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(', ')
  yield `  during ${statements.length} statements (${list}): ${wholeNumber(most)} MB at most`
  for (let minute = 1; minute <= minutes; minute++) {
    await delay(60_000)
    yield `  ${minute} min after: ${wholeNumber(await megabytes())} MB`
  }
}
