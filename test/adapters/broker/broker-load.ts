import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Broker, Reader, TransactionalWriter } from '../../../src/ports/broker.ts'
import {
  deadline,
  makeTopic,
  readToEnd,
  textOf,
  textRecord,
  uniqueName,
} from '../../contract/broker-fixtures.ts'

const PARTITIONS = 3
const PUBLISH_MS = 60_000
/** So many further records of each partition show that everything moves. */
const FURTHER = 5
const MOVES_MS = 60_000

/** What one writer wrote into one partition. */
interface Lane {
  readonly topic: string
  readonly partition: number
  next: number
  readonly acknowledged: string[]
  /** What a reader of the partition got, from its beginning on. */
  readonly read: (string | null)[]
}

/**
 * Writes numbered records into all partitions of two topics, into one by transactions, and reads both, until it is told to end;
 * then it compares what was acknowledged, what is stored and what was read.
 */
export class BrokerLoad {
  readonly topics: readonly string[]
  readonly partitions = PARTITIONS
  readonly #broker: Broker
  readonly #lanes: readonly Lane[]
  readonly #ending = new AbortController()
  readonly #surprises: string[] = []
  #works: Promise<unknown>[] = []
  #failures = 0

  private constructor(broker: Broker, topics: readonly [string, string]) {
    this.#broker = broker
    this.topics = topics
    this.#lanes = topics.flatMap((topic) =>
      Array.from({ length: PARTITIONS }, (_, partition) => ({
        topic,
        partition,
        next: 0,
        acknowledged: [],
        read: [],
      })),
    )
  }

  static async begin(broker: Broker): Promise<BrokerLoad> {
    const topics = [await makeTopic(broker, PARTITIONS), await makeTopic(broker, PARTITIONS)] as const
    const load = new BrokerLoad(broker, topics)
    const [plain, inTransactions] = topics
    const reader = await broker.openReader(deadline())
    await reader.assign(
      load.#lanes.map(({ topic, partition }) => ({ topic, partition, offset: 0 })),
      deadline(),
    )
    load.#works = [
      ...load.#lanes.filter(({ topic }) => topic === plain).map((lane) => load.#publish(lane)),
      load.#commit(load.#lanes.filter(({ topic }) => topic === inTransactions)),
      load.#read(reader),
    ]
    return load
  }

  /** Resolves when each partition has taken further records, and they were read. */
  async moves(): Promise<void> {
    const before = this.#lanes.map(({ acknowledged, read }) => [acknowledged.length, read.length] as const)
    const end = Date.now() + MOVES_MS
    const stuck = () =>
      this.#lanes.filter(({ acknowledged, read }, i) => {
        const [written, seen] = before[i] ?? [0, 0]
        return acknowledged.length < written + FURTHER || read.length < seen + FURTHER
      })
    while (stuck().length > 0) {
      const named = stuck().map(({ topic, partition }) => `${topic}:${partition}`)
      assert.ok(Date.now() < end, `nothing moves after ${MOVES_MS} ms in ${named.join(', ')}`)
      await delay(5)
    }
  }

  /** Ends, and tells what is wrong. */
  async check(): Promise<{ readonly violations: readonly string[]; readonly summary: string }> {
    await this.end()
    const violations = [...this.#surprises]
    for (const { topic, partition, acknowledged, read } of this.#lanes) {
      const what = `${topic}:${partition}`
      const stored = (await readToEnd(this.#broker, topic, partition)).map(textOf)
      const have = new Set(stored)
      const lost = acknowledged.filter((text) => !have.has(text))
      const order = stored.map(Number)
      if (lost.length > 0)
        violations.push(`${what}: ${lost.length} acknowledged are lost, such as ${lost[0]}`)
      if (have.size < stored.length) violations.push(`${what}: ${stored.length - have.size} are stored twice`)
      if (order.some((n, i) => n < (order[i - 1] ?? -1))) violations.push(`${what}: the order is not kept`)
      const differs = read.findIndex((text, i) => text !== stored[i])
      if (differs >= 0)
        violations.push(`${what}: at ${differs} ${read[differs]} was read, ${stored[differs]} is stored`)
    }
    const count = this.#lanes.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
    return { violations, summary: `${count} acknowledged, ${this.#failures} calls failed` }
  }

  async end(): Promise<void> {
    this.#ending.abort()
    await Promise.all(this.#works)
  }

  #record(lane: Lane): {
    readonly text: string
    readonly entry: { topic: string; partition: number; records: ReturnType<typeof textRecord>[] }
  } {
    const text = String(lane.next++)
    return { text, entry: { topic: lane.topic, partition: lane.partition, records: [textRecord(text)] } }
  }

  /** A call that fails may have stored its record: it is not made again. */
  async #publish(lane: Lane): Promise<void> {
    const publishOne = async (): Promise<void> => {
      const { text, entry } = this.#record(lane)
      try {
        await this.#broker.publish([entry], AbortSignal.timeout(PUBLISH_MS))
        lane.acknowledged.push(text)
      } catch (error) {
        this.#fail(error)
      }
    }
    const running = new Set<Promise<void>>()
    while (!this.#ending.signal.aborted) {
      const one = publishOne().finally(() => running.delete(one))
      running.add(one)
      if (running.size >= 20) await Promise.race(running)
      await delay(2)
    }
    await Promise.all(running)
  }

  async #commit(lanes: readonly Lane[]): Promise<void> {
    const id = uniqueName('id')
    let writer: TransactionalWriter | undefined
    while (!this.#ending.signal.aborted) {
      const records = lanes.map((lane) => this.#record(lane))
      try {
        writer ??= await this.#broker.takeOver(id, deadline())
        await writer.commit(
          records.map(({ entry }) => entry),
          AbortSignal.timeout(PUBLISH_MS),
        )
        for (const [i, lane] of lanes.entries()) lane.acknowledged.push(records[i]?.text ?? '')
      } catch (error) {
        this.#fail(error)
        await writer?.close()
        writer = undefined
      }
    }
    await writer?.close()
  }

  async #read(reader: Reader): Promise<void> {
    const lanes = new Map(this.#lanes.map((lane) => [`${lane.topic}:${lane.partition}`, lane]))
    while (!this.#ending.signal.aborted) {
      try {
        for (const fetch of await reader.poll({ maxRecords: 1_000, waitMs: 200 }, deadline())) {
          if (fetch.kind === 'records')
            lanes.get(`${fetch.topic}:${fetch.partition}`)?.read.push(...fetch.records.map(textOf))
          else this.#surprises.push(`the reader was told ${JSON.stringify(fetch)}`)
        }
      } catch (error) {
        this.#fail(error)
      }
    }
    await reader.close(deadline())
  }

  /** Outages are told by these codes alone. */
  #fail(error: unknown): void {
    this.#failures++
    const { code, message } = error as { readonly code?: string; readonly message?: string }
    if (code !== 'BROKER_UNAVAILABLE' && code !== 'TIMEOUT')
      this.#surprises.push(`a call failed with ${code}: ${message}`)
  }
}
