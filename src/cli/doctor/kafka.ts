import type { inspectKafka, KafkaInspection } from '../../adapters/broker/kafka.ts'
import type { Config } from '../../config.ts'
import { isWithin, platformNames } from '../../control/names.ts'
import { requiredTopics } from '../../control/topics.ts'
import { ERROR_KINDS } from '../../errors.ts'
import type { Log } from '../../ports/log.ts'
import { usesOf } from '../../topology/engines/rights.ts'
import { kafkaSettings, openKafka } from '../../topology/engines/servers.ts'
import { type Finding, fail, failure, ok, warn } from './finding.ts'
import { prefixFindings } from './prefixes.ts'
import { topicFindings } from './topics.ts'

/** From this difference on `from`, which looks up publication times, would look at the wrong place. */
const CLOCK_MS = 1_000
/** So many of the things that the user may not do are named. */
const MOST_NAMED = 5

/** Looks at the Kafka broker that the configuration names. */
export async function checkKafka(config: Config, log: Log, signal: AbortSignal): Promise<readonly Finding[]> {
  const prefixLook = new AbortController()
  try {
    const settings = kafkaSettings(config, log)
    const { inspectKafka } = await import('../../adapters/broker/kafka.ts')
    const [found, prefixes] = await Promise.all([
      inspectKafka(settings, usesOfRoles(config), signal),
      checkPrefixes(config, log, AbortSignal.any([signal, prefixLook.signal])),
    ])
    return [
      serverFinding(config, found),
      rightsFinding(found),
      ...platformFindings(config, found.names),
      ...prefixes,
      ...topicFindings(config, found.topics, found.brokers.length),
      ...clockFinding(found),
    ]
  } catch (error) {
    return [failure('broker', error)]
  } finally {
    // Where the broker could not be looked at, nobody waits for this.
    prefixLook.abort()
  }
}

/** What the roles of this process do on a broker, and the topics of all. */
function usesOfRoles({ roles, topics }: Config): Parameters<typeof inspectKafka>[1] {
  const names = platformNames(topics)
  const { partitions, retention, deadLetterRetention } = topics
  const retentions = { retentionMs: retention, deadLetterRetentionMs: deadLetterRetention }
  const uses = usesOf(roles, topics)
  const letters = roles.includes('consumer-fixed') ? [names.deadLetters] : []
  return {
    ...uses,
    // Every process says on the control topic that it is there.
    topics: [...new Set([...uses.topics, names.control, ...letters])],
    shown: requiredTopics({ names, partitions, ...retentions }).map(({ name }) => name),
    clock: { topic: names.registry, transactionalId: names.doctorId },
  }
}

function serverFinding({ broker }: Config, { version, brokers, controller }: KafkaInspection): Finding {
  const how = `${broker.tls ? 'TLS' : 'not encrypted'}, ${broker.sasl === 'none' ? 'no login' : `as ${broker.username}`}`
  const count = brokers.length === 1 ? '1 broker' : `${brokers.length} brokers`
  return ok(
    'broker',
    `${version}, ${count} at ${broker.bootstrap.join(',')}, controller ${controller}; ${how}`,
  )
}

/** Which platforms share the broker, by their control topics. */
function platformFindings(config: Config, names: readonly string[]): Finding[] {
  const known = new Set(names)
  const prefixes = names.flatMap((name) => {
    const prefix = name.endsWith('.registry') ? name.slice(0, -'.registry'.length) : undefined
    const isPlatform = known.has(`${prefix}.control`) && known.has(`${prefix}.checkpoints`)
    return prefix !== undefined && isPlatform ? [prefix] : []
  })
  const others = prefixes.filter((prefix) => prefix !== config.topics.controlPrefix)
  if (others.length === 0) return []
  const check = 'broker platforms'
  const detail = `${config.topics.controlPrefix} shares the broker with ${others.join(', ')}`
  const { prefix, dynamicPrefix, controlPrefix } = config.topics
  const isClose = others.some((other) =>
    [prefix, dynamicPrefix, controlPrefix].some((own) => isWithin(own, other)),
  )
  return [isClose ? fail(check, detail, ERROR_KINDS.PREFIX_TAKEN.remedy) : ok(check, detail)]
}

async function checkPrefixes(config: Config, log: Log, signal: AbortSignal): Promise<Finding[]> {
  try {
    const broker = await openKafka(config, log, signal)
    try {
      return await prefixFindings(config, broker, signal)
    } finally {
      await broker.close()
    }
  } catch (error) {
    return [failure('broker prefixes', error)]
  }
}

function rightsFinding({ forbidden }: KafkaInspection): Finding {
  const check = 'broker rights'
  if (forbidden.length === 0) return ok(check, 'the user may do all that the platform does')
  const more = forbidden.length > MOST_NAMED ? ` and ${forbidden.length - MOST_NAMED} more` : ''
  const named = forbidden.slice(0, MOST_NAMED).join(', ')
  return fail(check, `the user may not ${named}${more}`, ERROR_KINDS.BROKER_FORBIDDEN.remedy)
}

function clockFinding({ clockDifferenceMs: difference }: KafkaInspection): Finding[] {
  if (difference === undefined) return []
  const detail = `the broker's clock differs by ${Math.round(difference)} ms`
  if (Math.abs(difference) < CLOCK_MS) return [ok('broker clock', detail)]
  const remedy = 'Set both clocks by NTP: retention and reading from a time go by the clock of the broker.'
  return [warn('broker clock', detail, remedy)]
}
