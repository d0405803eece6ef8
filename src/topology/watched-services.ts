import type { ConsumerDynamicServices } from '../services/consumer-dynamic/application.ts'
import type { ConsumerFixedServices } from '../services/consumer-fixed/consumer-fixed.ts'
import type { CoordinatorServices } from '../services/coordinator/coordinator.ts'
import type { ProducerServices } from '../services/producer/producer.ts'
import type { OutageWatch } from '../telemetry/outage-watch.ts'

/**
 * The services of each machine. A step that needs a server ends when that server is away: it would hang, or wait for data that
 * cannot come. So it fails within seconds, and the machine says so.
 */

type Watch = Pick<OutageWatch, 'during'>

/** The source does not need the broker: fetching goes on during an outage, and publishing what it brings fails. */
export function watchedProducer(services: ProducerServices, broker: Watch): ProducerServices {
  return {
    ...services,
    publishFixed: (data, signal) => broker.during(signal, (stop) => services.publishFixed(data, stop)),
    publishDynamic: (signal) => broker.during(signal, (stop) => services.publishDynamic(stop)),
    createTopic: (name, signal) => broker.during(signal, (stop) => services.createTopic(name, stop)),
  }
}

export function watchedCoordinator(services: CoordinatorServices, broker: Watch): CoordinatorServices {
  return {
    ...services,
    receiveRequests: (signal) => broker.during(signal, (stop) => services.receiveRequests(stop)),
    createTopics: (batch, signal) => broker.during(signal, (stop) => services.createTopics(batch, stop)),
    notifyActors: (batch, signal) => broker.during(signal, (stop) => services.notifyActors(batch, stop)),
    deleteTopics: (batch, signal) => broker.during(signal, (stop) => services.deleteTopics(batch, stop)),
  }
}

/**
 * A fixed consumer writes what it has in hand into the database also while the broker is away. Where a write or a dead letter needs the
 * broker, its own parts tell of the outage.
 */
export function watchedConsumerFixed(
  services: ConsumerFixedServices,
  broker: Watch,
  store: Watch,
): ConsumerFixedServices {
  return {
    ...services,
    // Partitions are claimed in the database before they are read.
    receiveMessage: (signal) =>
      broker.during(signal, (either) => store.during(either, (stop) => services.receiveMessage(stop))),
    writeToDB: (record, signal) => store.during(signal, (stop) => services.writeToDB(record, stop)),
  }
}

export function watchedConsumerDynamic(
  services: ConsumerDynamicServices,
  broker: Watch,
): ConsumerDynamicServices {
  return {
    ...services,
    subscribeTopics: (topics, signal) =>
      broker.during(signal, (stop) => services.subscribeTopics(topics, stop)),
    receiveMessage: (topics, signal) =>
      broker.during(signal, (stop) => services.receiveMessage(topics, stop)),
  }
}
