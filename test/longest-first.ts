/**
 * The files that take longest, of both runs: begun last they would keep one core busy while the other has nothing to do. Of the long ones those
 * that mostly wait stand between those that use both cores, some of which measure how soon something shows.
 */
export const LONGEST: readonly string[] = [
  'test/cli/together.ts',
  'test/adapters/broker/together.ts',
  'test/adapters/store/embedded-candles.test.ts',
  'test/adapters/store/embedded-schema.test.ts',
  'test/adapters/source/together.ts',
  'test/gateway/together.ts',
  'test/services/producer/together.ts',
  'test/world/world.test.ts',

  'test/e2e/servers/takeover.long.test.ts',
  'test/adapters/broker/kafka-group-outages.long.test.ts',
  'test/adapters/store/timescale-outages.long.test.ts',
  'test/adapters/broker/kafka-outages.long.test.ts',
  'test/e2e/servers/outage.long.test.ts',
  'test/adapters/store/embedded-candles.long.test.ts',
  'test/adapters/broker/kafka-cluster.long.test.ts',
  'test/adapters/broker/embedded-crash.long.test.ts',
  'test/chaos/chaos.long.test.ts',
  'test/dashboard/outages.long.test.ts',
  'test/cli/record.long.test.ts',
  'test/e2e/servers/shared-cluster.long.test.ts',
  'test/e2e/servers/tailored.long.test.ts',
  'test/adapters/store/embedded-crash.long.test.ts',
  'test/world/world.long.test.ts',
]

/** The files of a run, those that take longest in front of the others, which stay in their order. */
export function longestFirst(files: readonly string[]): readonly string[] {
  const place = (file: string): number => {
    const at = LONGEST.indexOf(file)
    return at < 0 ? LONGEST.length : at
  }
  return files.toSorted((a, b) => place(a) - place(b))
}
