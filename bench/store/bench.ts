import { join } from 'node:path'
import type { RowSegment } from '../../src/ports/store.ts'
import { type Bench, type BenchOptions, describe, type Measurement, wholeNumber } from '../bench.ts'
import { type DatabaseServer, openDatabaseServer, type TemporaryDatabase } from '../servers/database.ts'
import { type KafkaToMeasure, openKafkaToMeasure } from '../servers/kafka.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { storeFromKafka } from './from-kafka.ts'
import { copyCsv, psqlVersion, writeCsv } from './psql.ts'
import { fillTopics, type StoredTopics } from './topic.ts'
import { encodeBatches, writeAlone } from './writer.ts'

const RECORDS = 1_000_000
const BATCH = 20_000
const ROUNDS = 3

export const bench: Bench = {
  summary:
    'trades from a Kafka topic into the database, and the writer alone, against psql \\copy csv of the same rows',
  async run(options, print) {
    const client = await psqlVersion(options.psql)
    await inTemporaryFolder(async (folder) => {
      const kafka = await openKafkaToMeasure(options.kafka)
      try {
        const server = await openDatabaseServer(options.database)
        try {
          print(`  ${kafka.name}, ${kafka.config.topics.partitions} partitions; ${server.name}; ${client}`)
          await compare({ kafka, server, options, csv: join(folder, 'trades.csv') }, print)
        } finally {
          await server.close()
        }
      } finally {
        await kafka.close()
      }
    })
  },
}

interface Setting {
  readonly kafka: KafkaToMeasure
  readonly server: DatabaseServer
  readonly options: BenchOptions
  readonly csv: string
}

async function compare(
  { kafka, server, options, csv }: Setting,
  print: (line: string) => void,
): Promise<void> {
  const { records = RECORDS, psql } = options
  const topics = await fillTopics(kafka, records)
  await writeCsv(csv, records)
  const batches = encodeBatches(records, BATCH)
  const sides: { copy: Measurement[]; kafka: Measurement[]; writer: Measurement[] } = {
    copy: [],
    kafka: [],
    writer: [],
  }
  for (let round = 0; round < ROUNDS; round++) {
    sides.copy.push(
      await inDatabase(server, records, (database) =>
        copyCsv(psql, database, server.config, { path: csv, records }),
      ),
    )
    sides.kafka.push(
      await inDatabase(server, records, (database) => storeAll(kafka, topics, database, records)),
    )
    sides.writer.push(await inDatabase(server, records, ({ store }) => writeAlone(store, batches)))
  }
  const against = { unit: 'rows', baseline: sides.copy, against: 'psql \\copy' }
  print(describe({ name: 'Kafka -> database, exactly once', subject: sides.kafka, ...against }))
  print(
    describe({ name: `the writer alone, ${describeBatches(batches)}`, subject: sides.writer, ...against }),
  )
  print(
    `  each of ${ROUNDS * 3} tables has ${wholeNumber(records)} rows, all different; all offsets are at their ends`,
  )
}

function describeBatches(batches: readonly RowSegment[]): string {
  return `${batches.length} encoded batches of up to ${wholeNumber(BATCH)}`
}

/** Measures in a new database and looks at what came out. */
async function inDatabase(
  server: DatabaseServer,
  records: number,
  work: (database: TemporaryDatabase) => Promise<Measurement>,
): Promise<Measurement> {
  const database = await server.create()
  try {
    const measurement = await work(database)
    const [found] = await database.rows('select count(*) as rows, count(distinct id) as ids from trades')
    if (Number(found?.['rows']) !== records || Number(found?.['ids']) !== records)
      throw new Error(`the table has ${found?.['rows']} rows and ${found?.['ids']} ids, not ${records}`)
    return measurement
  } finally {
    await database.drop()
  }
}

async function storeAll(
  kafka: KafkaToMeasure,
  topics: StoredTopics,
  database: TemporaryDatabase,
  records: number,
): Promise<Measurement> {
  const measurement = await storeFromKafka(kafka, topics, database, records)
  const [found] = await database.rows(
    `select sum(next_offset) as stored from tapeline_offsets where topic = '${topics.trade}'`,
  )
  if (Number(found?.['stored']) === records) return measurement
  throw new Error(`the offsets in the database sum up to ${found?.['stored']}, not ${records}`)
}
