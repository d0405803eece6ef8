import { kafkaTool } from '../../test/servers/kafka.ts'
import type { Measurement } from '../bench.ts'

const DURABLE = ['acks=all', 'enable.idempotence=true']

/** Kafka's own producer with the guarantees that the platform has, as it comes and with the usual tuning for throughput. */
export const JAVA_PRODUCERS = [
  { name: 'ProducerPerformance', properties: DURABLE },
  {
    name: 'ProducerPerformance, batch.size=200000 linger.ms=5',
    properties: [...DURABLE, 'batch.size=200000', 'linger.ms=5'],
  },
] as const

interface Load {
  readonly bootstrap: string
  readonly topic: string
  readonly records: number
}

/** Records without key and headers, as fast as it can; the time is its own, without the start of Java. */
export async function produceByJava(
  load: Load & { readonly properties: readonly string[]; readonly payloads: string },
): Promise<Measurement> {
  const { bootstrap, topic, records, properties, payloads } = load
  const output = await kafkaTool('org.apache.kafka.tools.ProducerPerformance', [
    ...['--topic', topic, '--num-records', String(records), '--throughput', '-1'],
    ...['--payload-file', payloads, '--bootstrap-server', bootstrap, '--command-property', ...properties],
  ])
  const matches = [...output.matchAll(/^(\d+) records sent, ([\d.]+) records\/sec/gm)]
  const [, sent, rate] = matches.at(-1) ?? []
  if (Number(sent) !== records) throw new Error(`ProducerPerformance did not send all records: ${output}`)
  return { records, seconds: records / Number(rate), mainCpuMicros: 0 }
}

/** Reads the whole topic; the time is what it says of fetching, without joining its group. */
export async function consumeByJava({ bootstrap, topic, records }: Load): Promise<Measurement> {
  const output = await kafkaTool('org.apache.kafka.tools.ConsumerPerformance', [
    ...['--topic', topic, '--num-records', String(records), '--bootstrap-server', bootstrap],
  ])
  const lines = output.split('\n').map((line) => line.split(',').map((value) => value.trim()))
  const header = lines.findIndex(([first]) => first === 'start.time')
  const rate = lines[header + 1]?.[lines[header]?.indexOf('fetch.nMsg.sec') ?? -1]
  if (!(Number(rate) > 0)) throw new Error(`ConsumerPerformance did not say how fast it was: ${output}`)
  return { records, seconds: records / Number(rate), mainCpuMicros: 0 }
}
