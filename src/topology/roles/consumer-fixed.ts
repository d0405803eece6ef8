import { createConsumerFixedServices } from '../../services/consumer-fixed/consumer-fixed.ts'
import { watchForOutage } from '../../telemetry/outage-watch.ts'
import { startConsumerFixed } from '../actors.ts'
import { retryWhenBack, type StoreFoundation } from '../foundation.ts'
import { clockMicros } from '../sources.ts'
import { watchedConsumerFixed } from '../watched-services.ts'

/** Starts the role consumer-fixed: fixed topics into the database. */
export async function startConsumerFixedRole(
  foundation: StoreFoundation,
  signal: AbortSignal,
): Promise<void> {
  const { config, broker, store, names, roster, actorParts, brokerWatch, started, log, meter } = foundation
  const { book: _notStored, ...stored } = names.fixed
  const services = await createConsumerFixedServices(
    {
      broker,
      names,
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
  const storeWatch = watchForOutage({
    ...{ name: 'the database', code: 'STORE_UNAVAILABLE', log },
    ping: (stop) => store.ping(stop),
  })
  retryWhenBack(storeWatch, roster)
  roster.add(startConsumerFixed(actorParts, watchedConsumerFixed(services, brokerWatch, storeWatch)))
  started.add('consumer-fixed', async (stop) => {
    await services.drain(stop)
    roster.remove('consumer-fixed')
    await services.close(stop)
    await storeWatch.close()
  })
}
