import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { interrupt, startCommand, untilReady } from '../../test/e2e/platform-process.ts'

/** What a process has used, by its own metrics. */
interface Usage {
  /** Of all its threads, since its start. */
  readonly cpuSeconds: number
  readonly rssBytes: number
  /** Trades published since its start. */
  readonly trades: number
}

/** `npm start` in a process of its own. */
export interface RunningDemo {
  usage(): Promise<Usage>
  /** Asks the database; gives `answered`, or the code of the refusal. */
  ask(sql: string): Promise<string>
  stop(): Promise<void>
}

const MOST_OUTPUT = 4_000
const READY_MS = 120_000

/** Starts it on a folder, and waits until it is ready. */
export async function startDemo(folder: string): Promise<RunningDemo> {
  const child = startCommand(['demo', '--data', folder, '--port', '0', '--log-level', 'warn'])
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-MOST_OUTPUT)
    })
  try {
    await untilReady(child, folder, () => output, READY_MS)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  const { api } = JSON.parse(await readFile(join(folder, 'run.json'), 'utf8')) as { readonly api: string }
  return {
    async usage() {
      const text = await (await fetch(`${api}/metrics`)).text()
      const value = (name: string): number => {
        const line = text.split('\n').find((each) => each.startsWith(`${name} `))
        if (line === undefined) throw new Error(`there is no metric ${name}`)
        return Number(line.slice(name.length))
      }
      return {
        cpuSeconds: value('process_cpu_seconds_total'),
        rssBytes: value('process_resident_memory_bytes'),
        trades: value('tapeline_published_records_total{channel="trade"}'),
      }
    },
    async ask(sql) {
      const response = await fetch(`${api}/v1/sql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ sql }),
      })
      const body = (await response.json()) as { readonly code?: string }
      return body.code ?? 'answered'
    },
    async stop() {
      await interrupt(child)
    },
  }
}
