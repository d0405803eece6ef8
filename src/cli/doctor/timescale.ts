import type { Config } from '../../config.ts'
import type { Log } from '../../ports/log.ts'
import { timescaleSettings } from '../../topology/engines/servers.ts'
import { type Finding, failure } from './finding.ts'

/** Looks at the database server that the configuration names. */
export async function checkTimescale(
  config: Config,
  log: Log,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const settings = timescaleSettings(config, log)
    const { inspectTimescale } = await import('../../adapters/store/timescale.ts')
    return await inspectTimescale(settings, signal)
  } catch (error) {
    return [failure('store', error)]
  }
}
