import type { ConsumerDynamicServices } from '../services/consumer-dynamic/application.ts'
import type { ConsumerFixedServices } from '../services/consumer-fixed/consumer-fixed.ts'
import type { CoordinatorServices } from '../services/coordinator/coordinator.ts'
import type { ProducerServices } from '../services/producer/producer.ts'
import type { OutageWatch } from '../telemetry/outage-watch.ts'

/**
 * The services of each machine, with the steps that need a server ended when that is away: what would hang, or wait for data that
 * cannot come, fails within seconds, and the machine says so.
 */

type Watch = Pick<OutageWatch, 'during'>

/** The source has nothing to do with the broker: fetching goes on, and what it brings fails in its publish. */
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
 * What it has in hand goes into the database also while the broker is away: what a write or a dead letter needs of the broker has the
 * outage from its parts.
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
