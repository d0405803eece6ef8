import { once } from 'node:events'
import { join } from 'node:path'
import { interrupt, PlatformProcess, startCommand } from '../../test/e2e/platform-process.ts'
import type { TemporaryDatabase } from '../servers/database.ts'
import type { KafkaToMeasure } from '../servers/kafka.ts'

/** Chars of each process. */
const MOST_OUTPUT = 2_000

/** A simulator in a process of its own. */
export interface SimulatorProcess {
  readonly url: string
  readonly websocketUrl: string
  /** How far it fell behind its rate, in ms: not 0 means that the machine, not the platform, set the rate. */
  lostMillis(): Promise<number>
  stop(): Promise<void>
}

export async function startSimulatorProcess(rate: number, events: number): Promise<SimulatorProcess> {
  const child = startCommand([
    'simulate',
    '--port',
    '0',
    '--rate',
    String(rate),
    '--events',
    String(events),
    '--json',
  ])
  child.stderr?.resume()
  if (child.stdout === null) throw new Error('the simulator has no output')
  const [line] = await once(child.stdout, 'data')
  const { url, websocketUrl } = JSON.parse(String(line)) as Pick<SimulatorProcess, 'url' | 'websocketUrl'>
  return {
    ...{ url, websocketUrl },
    async lostMillis() {
      const stats = (await (await fetch(`${url}/stats`)).json()) as { readonly lostMillis: number }
      return stats.lostMillis
    },
    async stop() {
      await interrupt(child)
    },
  }
}

/** The roles, each in a process of its own. The producer comes when it is told to, so that an application can subscribe first. */
export interface PlatformProcesses {
  readonly api: string
  startProducer(): Promise<void>
  /** What the processes have said lately: warnings and errors, by role. */
  output(): string
  stop(): Promise<void>
}

export async function startPlatformProcesses({
  kafka,
  database,
  simulator,
  folder,
  name,
}: {
  readonly kafka: KafkaToMeasure
  readonly database: TemporaryDatabase
  readonly simulator: SimulatorProcess
  readonly folder: string
  /** What all its names on the broker begin with. */
  readonly name: string
}): Promise<PlatformProcesses> {
  const environment = {
    TAPELINE_TOPICS_PREFIX: `${name}-market`,
    TAPELINE_TOPICS_DYNAMIC_PREFIX: `${name}-app`,
    TAPELINE_TOPICS_CONTROL_PREFIX: `${name}-control`,
    TAPELINE_SOURCE_CHANNELS: 'trade',
    TAPELINE_LOG_LEVEL: 'warn',
    TAPELINE_API_KEYS: '',
  }
  const servers = ['--kafka', kafka.config.broker.bootstrap.join(','), '--database', database.url]
  const processOf = (role: string): PlatformProcess =>
    new PlatformProcess(
      join(folder, role),
      ['--roles', role, ...servers, '--simulator', simulator.url],
      environment,
    )
  const [coordinator, consumer, gateway, producer] = [
    processOf('coordinator'),
    processOf('consumer-fixed'),
    processOf('gateway'),
    processOf('producer'),
  ]
  const roles = { producer, consumer, gateway, coordinator }
  const output = (): string =>
    Object.entries(roles)
      .map(([role, each]) => `${role}: ${each.output.slice(-MOST_OUTPUT)}`)
      .join('\n')
  const stop = async (): Promise<void> => {
    for (const each of Object.values(roles)) {
      const code = await each.stop()
      if (code !== 0 && code !== null) throw new Error(`a role ended with ${code}: ${each.output}`)
    }
  }
  try {
    await coordinator.start()
    await Promise.all([consumer.start(), gateway.start()])
    return { api: await gateway.api(), startProducer: () => producer.start(), output, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
