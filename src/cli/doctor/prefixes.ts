import type { Config } from '../../config.ts'
import { platformNames } from '../../control/names.ts'
import { refuseTakenPrefixes } from '../../control/prefixes.ts'
import { type Finding, failure } from './finding.ts'

/** Whether a start would be refused for its prefixes, by the same look. Nothing is said where it would not. */
export async function prefixFindings(
  { topics }: Config,
  broker: Parameters<typeof refuseTakenPrefixes>[0],
  signal: AbortSignal,
): Promise<Finding[]> {
  try {
    await refuseTakenPrefixes(broker, platformNames(topics), signal)
    return []
  } catch (error) {
    return [failure('broker prefixes', error)]
  }
}
