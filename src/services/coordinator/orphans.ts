import type { PlatformNames } from '../../control/names.ts'
import type { RegistryView } from '../../control/registry-view.ts'
import type { Broker } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'

const ORPHAN_AGE_MS = 3_600_000
const ULID_DIGITS = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * Removes topics that the registry does not know, older than an hour: left by a leader that died between two steps (R10). The
 * view must hold the registry to its end. A topic is registered before it is made, so that clocks that differ do no harm.
 */
export async function removeOrphans(
  {
    broker,
    names,
    now,
    log,
  }: {
    readonly broker: Broker
    readonly names: PlatformNames
    readonly now: () => number
    readonly log: Log
  },
  view: RegistryView,
  signal: AbortSignal,
): Promise<void> {
  const topics = await broker.listTopics(names.dynamic, signal)
  const known = new Set([...view.streams()].map((stream) => stream.topic))
  const orphans = topics.filter(
    ({ name }) => !known.has(name) && now() - madeAt(name.slice(names.dynamic.length)) > ORPHAN_AGE_MS,
  )
  if (orphans.length === 0) return
  log.info({ topics: orphans.length }, 'removing topics that the registry does not know')
  await broker.deleteTopics(
    orphans.map(({ name }) => name),
    signal,
  )
}

/** When a dynamic topic was made, from the ULID in its name; 0 where it has none. */
function madeAt(id: string): number {
  let millis = 0
  for (const digit of id.slice(0, 10)) {
    millis = millis * 32 + ULID_DIGITS.indexOf(digit)
  }
  return Number.isFinite(millis) && millis > 0 ? millis : 0
}
