import type { TestContext } from 'node:test'
import { openSource } from '../../../src/adapters/source/feed/open-source.ts'
import type {
  SourceKind,
  SourceOptions,
  SourceSettings,
} from '../../../src/adapters/source/feed/source-kind.ts'
import type { Market } from '../../../src/ports/source.ts'
import { nowMicros, recordingLog } from './waiting.ts'

export type Opening = Partial<SourceSettings> &
  Partial<Omit<SourceOptions, 'settings' | 'log'>> & { readonly markets?: readonly Market[] }

/** A source on a local service, which connects again quickly; it is closed at the end of the test. */
export async function openOn(
  t: TestContext,
  kind: SourceKind,
  service: { readonly url: string; readonly restUrl: string },
  { markets = [], apiKey, exchanges, queueCapacity, openTap, now = nowMicros, ...settings }: Opening = {},
) {
  const log = recordingLog()
  const { url, restUrl } = service
  const quick = {
    channels: kind.channels.filter((channel) => channel !== 'book'),
    reconnect: 5,
    reconnectMax: 40,
  }
  const source = await openSource(kind, {
    settings: { url, restUrl, ...quick, ...settings },
    ...(apiKey !== undefined && { apiKey }),
    ...(exchanges && { exchanges }),
    ...(queueCapacity !== undefined && { queueCapacity }),
    ...(openTap && { openTap }),
    ...{ log, now },
  })
  source.subscribe(markets)
  t.after(() => source.close())
  return { source, log }
}
