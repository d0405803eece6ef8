import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parseIsoMicros } from '../../src/domain/time.ts'
import { type LedgerTrade, marketOf, readLedger, tradeKey } from './ledger.ts'
import { makeFolder, runCommand } from './platform-process.ts'
import { assertDrawn, readTrace } from './trace.ts'

const EVENTS = 1_500

/** The way of the data through all four machines: what a run of the demo must have gone through. */
const DATA_PATH = [
  'producer: idle FETCH_DATA fetchingData',
  'producer: fetchingData DATA_READY publishingFixed',
  'producer: publishingFixed FETCH_DATA fetchingData',
  'producer: publishingFixed PUBLISH_SUCCESS idle',
  'producer: idle PUBLISH_DYNAMIC publishingDynamic',
  'producer: publishingDynamic FETCH_DATA fetchingData',
  'producer: idle CREATE_TOPIC creatingTopic',
  'producer: creatingTopic CREATE_TOPIC_SUCCESS idle',
  'coordinator: active REQUEST_CREATE_TOPIC processingCreateTopic',
  'coordinator: processingCreateTopic CREATE_TOPIC_SUCCESS notifyingActors',
  'coordinator: notifyingActors NOTIFY_SUCCESS active',
  'consumerFixed: idle MESSAGE_RECEIVED processingMessage',
  'consumerFixed: processingMessage PROCESS_SUCCESS writingToDB',
  'consumerFixed: writingToDB WRITE_SUCCESS idle',
  'consumerDynamic: idle SUBSCRIBE_TO_TOPIC subscribing',
  'consumerDynamic: subscribing SUBSCRIBE_SUCCESS consuming',
  'consumerDynamic: consuming MESSAGE_RECEIVED processingMessage',
  'consumerDynamic: processingMessage PROCESS_SUCCESS interactingWithApp',
  'consumerDynamic: interactingWithApp INTERACT_SUCCESS consuming',
]

describe('tapeline demo --exit', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  const pathOf = (name: string): string => join(folder.path, name)
  before(async () => {
    folder = await makeFolder()
  })
  after(() => folder.remove())

  const demo = (run: string, environment: Record<string, string> = {}) =>
    runCommand(
      [
        'demo',
        ...['--events', String(EVENTS), '--seed', '1', '--rate', '1500'],
        ...['--ledger', pathOf(`ledger-${run}`), '--trace', pathOf(`trace-${run}`)],
        ...['--data', pathOf('data'), '--port', '0', '--exit'],
      ],
      environment,
    )

  const stored = async (): Promise<LedgerTrade[]> => {
    const statement = 'select exchange, symbol, id, side, price, size, ts from trades'
    const { code, stdout, stderr } = await runCommand(['sql', '--data', pathOf('data'), '--json', statement])
    assert.equal(code, 0, stderr)
    const rows = JSON.parse(stdout) as (LedgerTrade & { ts: string })[]
    return rows.map((row) => ({ ...row, ts: parseIsoMicros(row.ts) ?? -1 }))
  }

  const assertStored = async (ledgers: readonly string[]): Promise<void> => {
    const emitted = (await Promise.all(ledgers.map((run) => readLedger(pathOf(`ledger-${run}`))))).flat()
    const rows = await stored()
    assert.equal(emitted.length, EVENTS * ledgers.length, 'the ledgers have all trades')
    assert.deepEqual(rows.map(tradeKey).sort(), emitted.map(tradeKey).sort(), 'trades equal the ledgers')
    const ids = new Set(rows.map((row) => `${marketOf(row)}:${row.id}`))
    assert.equal(ids.size, rows.length, 'no trade is stored twice')
  }

  test('stores exactly what the simulator emitted, and exits 0', async () => {
    const { code, stdout, stderr } = await demo('1')
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, new RegExp(`stored +${EVENTS}\\ndelivered +${EVENTS}\\nduplicates +0`))
    for (const line of stderr.trim().split('\n'))
      assert.match(line, /^\{"level":"/, 'standard error is a log')
    assert.match(stdout, /^latency .*: p50 [\d.]+ ms.* \(\d+ samples\)$/m, 'latencies with their samples')
    await assertStored(['1'])
  })

  test('its trace shows the data path of all machines, and nothing that the graph does not have', async () => {
    const seen = await readTrace(pathOf('trace-1'))
    assert.deepEqual(
      DATA_PATH.filter((step) => !seen.has(step)),
      [],
      'a step of the data path is missing in the trace',
    )
    await assertDrawn(seen)
  })

  const SERVERS = {
    TAPELINE_BROKER_KIND: 'kafka',
    TAPELINE_STORE_KIND: 'timescale',
    TAPELINE_ROLES: 'gateway',
  }

  test('a second run goes on in the same folder, whatever servers and keys are configured: none twice', async () => {
    const { code, stdout, stderr } = await demo('2', { ...SERVERS, TAPELINE_API_KEYS: 'bot:a-key-of-a-bot' })
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /TAPELINE_API_KEY=/, 'what to type names the key')
    await assertStored(['1', '2'])
  })
})
