/** Something outside that an actor talks to. */
interface ExternalSystem {
  readonly label: string
}

/** A message from an actor, or from outside, to another: what one machine alone cannot say. */
export interface Message {
  /** An external system, or `machine.state`. */
  readonly from: string
  /** An external system, `machine.state`, or a machine as a whole. */
  readonly to: string
  readonly label: string
  readonly color: string
  readonly style: 'solid' | 'dashed'
}

export const EXTERNAL_SYSTEMS: Readonly<Record<string, ExternalSystem>> = {
  CryptoCompare: { label: 'CryptoCompare API' },
  TimescaleDB: { label: 'TimescaleDB' },
  'Application Consumers': { label: 'Application Consumers' },
}

/** The messages between the actors, in the order of the data's way. */
export const MESSAGES: readonly Message[] = [
  {
    from: 'CryptoCompare',
    to: 'producer.fetchingData',
    label: 'Provide Data',
    color: 'black',
    style: 'solid',
  },
  {
    from: 'producer.publishingFixed',
    to: 'consumerFixed',
    label: 'Publish to Fixed Topic',
    color: 'black',
    style: 'solid',
  },
  {
    from: 'producer.publishingDynamic',
    to: 'consumerDynamic',
    label: 'Publish to Dynamic Topic',
    color: 'black',
    style: 'dashed',
  },
  {
    from: 'producer.creatingTopic',
    to: 'coordinator',
    label: 'CREATE_TOPIC_REQUEST',
    color: 'blue',
    style: 'dashed',
  },
  {
    from: 'coordinator.notifyingActors',
    to: 'producer.publishingDynamic',
    label: 'NOTIFY_PRODUCER',
    color: 'green',
    style: 'dashed',
  },
  {
    from: 'coordinator.notifyingActors',
    to: 'consumerDynamic',
    label: 'NOTIFY_CONSUMER',
    color: 'green',
    style: 'dashed',
  },
  {
    from: 'consumerFixed.writingToDB',
    to: 'TimescaleDB',
    label: 'WRITE_TO_DB',
    color: 'purple',
    style: 'dashed',
  },
  {
    from: 'consumerDynamic.interactingWithApp',
    to: 'Application Consumers',
    label: 'SEND_TO_APP',
    color: 'orange',
    style: 'dashed',
  },
]
