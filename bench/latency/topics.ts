import { DYNAMIC_PREFIX } from '../../src/control/topics.ts'
import { TapelineError } from '../../src/errors.ts'
import type { KafkaToMeasure } from '../servers/kafka.ts'

/** Topics of every platform, whatever the prefix of its fixed topics. */
const PLATFORM_PREFIX = 'tapeline.'
const signal = AbortSignal.timeout(3_600_000)

/**
 * Refuses a broker that a platform uses, since the one of the bench would become part of it. Gives what removes the topics that
 * were made since. Raises USAGE.
 */
export async function claimBroker({ broker, prefix }: KafkaToMeasure): Promise<() => Promise<void>> {
  const names = async () => (await broker.listTopics('', signal)).map(({ name }) => name)
  const before = new Set(await names())
  const [known] = [...before].filter((name) => name.startsWith(PLATFORM_PREFIX))
  if (known !== undefined) {
    throw new TapelineError('USAGE', `a platform uses this broker already: it has the topic ${known}.`, {
      remedy: 'Name a broker without a platform, or leave --kafka out.',
    })
  }
  return async () => {
    const ours = [PLATFORM_PREFIX, DYNAMIC_PREFIX, `${prefix}.`]
    const made = (await names()).filter(
      (name) => !before.has(name) && ours.some((start) => name.startsWith(start)),
    )
    await broker.deleteTopics(made, signal)
  }
}
