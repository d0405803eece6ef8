import { setTimeout as delay } from 'node:timers/promises'
import { createConsumerFixedServices } from '../../services/consumer-fixed/consumer-fixed.ts'
import { startConsumerFixed } from '../actors.ts'
import type { StoreFoundation } from '../foundation.ts'
import { clockMicros } from '../sources.ts'
import { countUnstored } from '../unstored.ts'

/** Starts the role consumer-fixed: fixed topics into the database. */
export async function startConsumerFixedRole(
  foundation: StoreFoundation,
  signal: AbortSignal,
): Promise<void> {
  const { config, broker, store, topics, roster, actorParts, started, log, meter } = foundation
  const { book: _notStored, ...stored } = topics
  const services = await createConsumerFixedServices(
    {
      broker,
      store,
      topics: stored,
      maxRecords: config.consumerFixed.maxRows,
      lingerMs: config.consumerFixed.linger,
      nowMicros: clockMicros,
      raiseAlert: actorParts.alerts.raise,
      log,
      meter,
    },
    signal,
  )
  roster.add(startConsumerFixed(actorParts, services))
  started.add('consumer-fixed', async (stop) => {
    await untilStored(() => countUnstored(broker, store, Object.values(stored), stop), stop)
    roster.remove('consumer-fixed')
    await services.close(stop)
  })
}

const LOOK_EVERY_MS = 50

/** Waits until everything published is stored. What is not by the time the signal aborts is stored after the next start. */
async function untilStored(count: () => Promise<number>, signal: AbortSignal): Promise<void> {
  try {
    while ((await count()) > 0) await delay(LOOK_EVERY_MS, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
