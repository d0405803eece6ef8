import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { checkOutEarlier, earlierMissing } from '../../earlier-build.ts'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { tradeKey } from '../ledger.ts'
import { until } from '../platform-process.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'
import { leads } from './operations-view.ts'
import { TailoredReader } from './tailored-reader.ts'
import {
  compare,
  compareTailored,
  lastingFaults,
  publishedBefore,
  TAILORED,
  untilAllAreBehind,
  untilAllHaveEnough,
  within,
} from './tailored-streams.ts'

const SECOND = 1_000_000
const ALL_ROLES = 'producer,coordinator,consumer-fixed,gateway'
const LATER = ['first', 'second'] as const
const PLAIN = { channel: 'trade', symbols: ['*'] }

const missing = earlierMissing() ?? kafkaMissing() ?? postgresMissing()
describe(`an earlier build in the groups of this one (seed ${SEED})`, requireServer(missing), () => {
  let earlier: { readonly path: string; remove(): Promise<void> }
  let cluster: Cluster
  const readers = new Map<string, TailoredReader>()
  let isWell = false

  before(async () => {
    earlier = await checkOutEarlier()
    cluster = await openCluster({
      ...{ seed: SEED, rate: 100 },
      roles: { earlier: ALL_ROLES, first: ALL_ROLES, second: ALL_ROLES },
      entryOf: (name) => (name === 'earlier' ? join(earlier.path, 'bin', 'tapeline.mjs') : undefined),
      environment: { TAPELINE_LOG_LEVEL: 'info' },
    })
    await startAll(cluster, ['earlier'])
  })
  after(async () => {
    await Promise.all([...readers.values()].map((reader) => reader.close()))
    if (!isWell && cluster) console.log(`logs: ${cluster.logs}`)
    await cluster?.close({ keep: !isWell })
    await earlier?.remove()
  })

  const read = async (name: string, at: string, request: object): Promise<string> => {
    const stream = await cluster.process(at).post<{ id: string }>('/v1/streams', { ...request, ttl: 0 })
    readers.set(name, new TailoredReader(LATER.map(cluster.api), stream))
    return stream.id
  }
  const readerOf = (name: string): TailoredReader => readers.get(name) ?? assert.fail(name)
  const logOf = (name: string) => readFile(join(cluster.logs, `${name}.log`), 'utf8')
  const leader = async (): Promise<string | undefined> => {
    for (const name of LATER) if (await leads(cluster, name).catch(() => false)) return name
    return undefined
  }

  test('it neither leads nor serves what it does not understand, and nothing is lost', async () => {
    await read('plain', 'earlier', PLAIN)
    await startAll(cluster, LATER)
    await until('one of this build leads', async () => (await leader()) !== undefined)
    const before = (await logOf('earlier')).length
    for (const [name, request] of Object.entries(TAILORED)) {
      const id = await read(name, 'first', request)
      const { status } = await fetch(`${cluster.api('earlier')}/v1/streams/${id}`)
      assert.equal(status, 404, `${name} at the earlier build`)
    }
    const begin = Date.now() * 1_000 + 2 * SECOND
    await untilAllAreBehind(readers, begin)

    for (let round = 0; round < 2; round++) {
      const name = (await leader()) ?? assert.fail('nobody leads')
      await cluster.process(name).kill()
      await startAll(cluster, [name])
      await until('one of this build leads', async () => (await leader()) !== undefined)
      await untilAllAreBehind(readers, Date.now() * 1_000)
    }
    await untilAllHaveEnough(readers, begin)
    const last = Date.now() * 1_000 + 5 * SECOND
    await untilAllAreBehind(readers, last)
    const end = last - SECOND
    const platform = cluster.process('first')
    const published = await publishedBefore(cluster, platform, end)
    const findFaults = () => [
      ...compareTailored((name) => readerOf(name).events, published, begin, end),
      ...compare(
        'the plain stream',
        within(readerOf('plain').events, begin, end).map(tradeKey),
        within(published, begin, end).map(tradeKey),
      ),
    ]
    const faults = await lastingFaults(findFaults)
    for (const [name, { surprises }] of readers) assert.deepEqual(surprises, [], name)
    assert.deepEqual(faults, [])
    assert.doesNotMatch((await logOf('earlier')).slice(before), /leading the coordinators/)
    isWell = true
  })
})
