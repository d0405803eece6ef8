import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { KafkaToMeasure } from '../servers/kafka.ts'
import type { PlainPart } from './plain-program.ts'
import type { SimulatorProcess } from './platform.ts'

/** The baseline: a pipeline without Tapeline, in two processes. It has no database, no cursors, and loses and repeats what it may. */
export interface PlainPipeline {
  readonly api: string
  /** Begins to follow the source, so that an application can subscribe first. */
  startProducer(): Promise<void>
  stop(): Promise<void>
}

const PROGRAM = fileURLToPath(new URL('./plain-program.ts', import.meta.url))
const signal = AbortSignal.timeout(3_600_000)

export async function startPlainPipeline(
  kafka: KafkaToMeasure,
  simulator: SimulatorProcess,
  name: string,
  lingerMs: number,
): Promise<PlainPipeline> {
  const { broker, topics } = kafka.config
  await kafka.broker.createTopics([{ name, partitions: topics.partitions, retentionMs: 3_600_000 }], signal)
  const common = {
    bootstrap: broker.bootstrap[0] ?? '',
    topic: name,
    source: simulator.websocketUrl,
    lingerMs,
  }
  const children: ChildProcess[] = []
  const start = async (part: PlainPart['part']): Promise<number> => {
    const child = fork(PROGRAM, [JSON.stringify({ ...common, part } satisfies PlainPart)])
    children.push(child)
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the ${part} of the plain pipeline ended with ${code}`)
    })
    const [{ port }] = (await Promise.race([once(child, 'message'), ended])) as [{ readonly port: number }]
    // From here on whoever waits for trades sees that none come.
    ended.catch(() => undefined)
    return port
  }
  return {
    api: `http://127.0.0.1:${await start('gateway')}`,
    async startProducer() {
      await start('producer')
    },
    async stop() {
      for (const child of children.filter(({ exitCode }) => exitCode === null)) {
        const ended = once(child, 'exit')
        child.disconnect()
        await ended
      }
    },
  }
}
