import type { Store } from '../../src/ports/store.ts'
import type { Host } from './clock.ts'
import { Link, type Surroundings } from './link.ts'
import type { MemoryStore } from './memory-store.ts'

/** The database as one process sees it: what the platform asks it by SQL is not there. */
export function createPortStore(inner: MemoryStore, around: Surroundings, host: Host): Store {
  const link = new Link(around, host, 'store')
  const port: Pick<
    Store,
    'lanes' | 'chunkMicros' | 'rowMemory' | 'migrate' | 'claim' | 'write' | 'tendJobs' | 'ping' | 'close'
  > = {
    lanes: inner.lanes,
    chunkMicros: inner.chunkMicros,
    rowMemory: () => inner.rowMemory(),
    migrate: (signal) => link.call('migrate', () => inner.migrate(), signal),
    claim: (targets, signal) =>
      link.call(
        `claim ${targets.map(({ topic, partition }) => `${topic}:${partition}`)}`,
        () => inner.claim(targets),
        signal,
      ),
    write: (writes, signal) =>
      link.call(
        `write ${writes.map(({ claim, newOffset }) => `${claim.topic}:${claim.partition}@${newOffset}`)}`,
        () => inner.write(writes),
        signal,
        { mayBeLate: true },
      ),
    tendJobs: async () => [],
    ping: (signal) => link.call('ping', async () => {}, signal),
    close: async () => {},
  }
  return port as Store
}
