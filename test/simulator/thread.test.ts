import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { DEFAULT_MARKETS } from '../../src/simulator/markets.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { asLedgerLine, Client, readLedger, temporaryFile } from './client.ts'

const SUBS = DEFAULT_MARKETS.map((market) => `0~${market.wireExchange}~${market.base}~${market.quote}`)

describe('a simulator in a thread of its own', () => {
  test('does what one in this thread does', async (t) => {
    const path = await temporaryFile(t, 'ledger.jsonl')
    const logged: string[] = []
    const log = {
      debug: () => {},
      info: (_fields: object, message: string) => void logged.push(message),
      warn: () => {},
      error: (_fields: object, message: string) => void logged.push(message),
      child: () => log,
    }
    const simulator = await startSimulatorThread({ seed: 4, rate: 20_000, events: 2_000, ledger: path }, log)
    t.after(() => simulator.close())
    const client = await Client.open(t, simulator)
    client.add(...SUBS)
    await simulator.done
    await client.settled()
    assert.deepEqual(client.trades().map(asLedgerLine), await readLedger(path))
    const stats = await simulator.stats()
    assert.deepEqual([stats.emitted, stats.ended, stats.connections], [2_000, true, 1])
    assert.ok(stats.cpuMillis > 0)
    await simulator.misbehave(['close'])
    await client.ended()
    assert.deepEqual((await simulator.stats()).misbehave, ['close'])
    await assert.rejects(simulator.misbehave(['explode']), { code: 'USAGE' })
    await simulator.close()
    await simulator.close()
    assert.deepEqual(logged, ['the misbehaviour of the simulator has changed'])
  })

  test('refuses what one in this thread refuses', async (t) => {
    const taken = createServer()
    t.after(() => taken.close())
    taken.listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    for (const start of [startSimulator, startSimulatorThread]) {
      await assert.rejects(start({ port }), { code: 'PORT_IN_USE' })
      await assert.rejects(start({ ledger: '/nowhere/at/all/ledger.jsonl' }), {
        code: 'DATA_FOLDER_UNUSABLE',
      })
      await assert.rejects(start({ rate: 0 }), { code: 'CONFIG_INVALID' })
      await assert.rejects(start({ events: 1.5 }), { code: 'CONFIG_INVALID' })
      await assert.rejects(start({ markets: ['coinbase:FOO-USD'] }), { code: 'CONFIG_INVALID' })
      await assert.rejects(start({ misbehave: ['explode'] }), { code: 'USAGE' })
    }
  })

  test('emits nothing when no trades are asked for', async (t) => {
    const simulator = await startSimulator({ events: 0 })
    t.after(() => simulator.close())
    await simulator.done
    const client = await Client.open(t, simulator)
    client.add(...SUBS)
    await client.settled()
    assert.equal(client.trades().length, 0)
  })
})
