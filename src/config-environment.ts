import { environmentName, settingPaths } from './config-schema.ts'
import { nearest } from './domain/near.ts'

const PREFIX = 'TAPELINE_'

/** Variables that are read without being settings: keys and passwords, and what the commands take. */
const OTHERS = [
  'TAPELINE_ALERTS_WEBHOOK',
  'TAPELINE_API',
  'TAPELINE_API_CA',
  'TAPELINE_API_KEY',
  'TAPELINE_API_KEYS',
  'TAPELINE_BROKER_PASSWORD',
  'TAPELINE_STORE_PASSWORD',
  'TAPELINE_STORE_QUERY_PASSWORD',
]

/** What Kubernetes tells each container of services called tapeline, and what tests of the platform take. */
const FOREIGN =
  /^TAPELINE_(\w+_)?(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP))|^TAPELINE_PORT$|^TAPELINE_(TEST_\w+|SEED|CAPTURES)$/

/**
 * What is set in the environment, begins as our variables do, and is none of them: a line each, with the nearest of our names, and never
 * with a value.
 */
export function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = [...settingPaths().map(environmentName), ...OTHERS]
  const shortened = known.map((name) => name.slice(PREFIX.length))
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX) && environment[name] && !known.includes(name))
    .filter((name) => !FOREIGN.test(name))
    .sort()
    .map((name) => {
      const [near] = nearest(name.slice(PREFIX.length), shortened)
      return near === undefined ? name : `${name} (near to ${PREFIX}${near})`
    })
}
