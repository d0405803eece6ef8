import { createConsumerFixedServices } from '../../services/consumer-fixed/consumer-fixed.ts'
import { startConsumerFixed } from '../actors.ts'
import type { StoreFoundation } from '../foundation.ts'
import { watchLag } from '../lag-alert.ts'
import { clockMicros } from '../sources.ts'
import { tendStoreJobs } from '../store-jobs.ts'
import { storedTopics } from '../unstored.ts'
import { watchedConsumerFixed } from '../watched-services.ts'

/**
 * How long a small batch gathers rows. A write into the embedded database takes ten times the processor time that a write to a server takes in
 * this process, and at a few trades a second nearly each trade would be a write of its own.
 */
export const LINGER_MS = { embedded: 1_000, timescale: 50 } as const

/** Starts the role consumer-fixed: fixed topics into the database. */
export async function startConsumerFixedRole(
  foundation: StoreFoundation,
  signal: AbortSignal,
): Promise<void> {
  const { config, broker, store, names, roster, actorParts, brokerWatch, storeWatch, started, log, meter } =
    foundation
  const services = await createConsumerFixedServices(
    {
      broker,
      names,
      store,
      topics: { ...storedTopics(config, names), instrument: names.instruments },
      bookLevels: config.store.books,
      maxRecords: config.consumerFixed.maxRows,
      lingerMs: config.consumerFixed.linger ?? LINGER_MS[config.store.kind],
      nowMicros: clockMicros,
      duringBroker: brokerWatch.during,
      raiseAlert: actorParts.alerts.raise,
      log,
      meter,
      tracer: foundation.tracer,
    },
    signal,
  )
  roster.add(startConsumerFixed(actorParts, watchedConsumerFixed(services, brokerWatch, storeWatch)))
  const jobs = tendStoreJobs({ store, alerts: actorParts.alerts, log, meter })
  started.add('store jobs', () => jobs.close())
  const lag = watchLag({
    ...{ countUnstored: services.countUnstored, alerts: actorParts.alerts, log },
    ...{ limit: config.alerts.lag, afterMs: config.alerts.after },
  })
  started.add('lag watch', () => lag.close())
  started.add('consumer-fixed', async (stop) => {
    await services.drain(stop)
    roster.remove('consumer-fixed')
    await services.close(stop)
  })
}
