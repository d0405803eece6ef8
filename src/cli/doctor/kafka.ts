import type { Config } from '../../config.ts'
import type { Log } from '../../ports/log.ts'
import { openKafka, serverNames } from '../../topology/engines/servers.ts'
import { type Finding, failure, ok } from './finding.ts'

/** Looks at the Kafka broker that the configuration names. */
export async function checkKafka(config: Config, log: Log, signal: AbortSignal): Promise<readonly Finding[]> {
  try {
    const broker = await openKafka(config, log, signal)
    await broker.close()
    return [ok('broker', `${serverNames(config).broker} answers and takes the login`)]
  } catch (error) {
    return [failure('broker', error)]
  }
}
