import { TapelineError } from '../errors.ts'
import type { Broker, TopicDescription } from '../ports/broker.ts'
import type { TopicDesk } from '../ports/topics.ts'
import type { PlatformNames } from './names.ts'
import type { Registry } from './registry.ts'
import { isDynamicName } from './topics.ts'

interface DeskParts {
  readonly broker: Broker
  readonly names: PlatformNames
  readonly registry: Registry
}

/** Dynamic topics by what the registry says of them. */
export function createTopicDesk({ broker, names, registry }: DeskParts): TopicDesk {
  const { view } = registry
  const isRegistered = (name: string): boolean =>
    view.stream(name) !== undefined || view.unreadable.has(`stream:${name}`)

  return {
    async unknown(signal) {
      const topics = await broker.listTopics(names.dynamic, signal)
      // A topic is registered before it is made: what the registry does not have by now it did not have then.
      await registry.catchUp(signal)
      return topics.filter(({ name }) => isDynamicName(names, name) && !isRegistered(name))
    },
    async remove(name, signal): Promise<TopicDescription> {
      if (!isDynamicName(names, name)) {
        const message = `is not a name that this platform gives: ${names.dynamic} and a ULID`
        const remedy = 'tapeline streams topics --unknown lists what may be removed.'
        const fields = [{ field: 'name', value: name, message, remedy }]
        throw new TapelineError('INPUT_INVALID', `${name} ${message}`, { fields })
      }
      const [topic] = await broker.describeTopics([name], signal)
      if (topic === undefined) throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${name}`)
      await registry.catchUp(signal)
      if (isRegistered(name)) throw new TapelineError('TOPIC_IN_USE', `the registry knows ${name}`)
      const [unreadable] = view.unreadable.values()
      if (unreadable) throw new TapelineError('UPGRADE_NEEDED', `something may need it: ${unreadable.reason}`)
      await broker.deleteTopics([topic], signal)
      return topic
    },
  }
}
