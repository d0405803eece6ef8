import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Misbehaviour, parseModes } from '../../src/simulator/misbehaviour.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { asLedgerLine, Client, call, readLedger, simulate, temporaryFile } from './client.ts'

const SUB = '0~Coinbase~BTC~USD'
const PRICE = '/data/price?fsym=BTC&tsyms=USD'
const ONE_MARKET = { markets: ['coinbase:BTC-USD'], rate: 4_000 } as const

function connect(t: Parameters<typeof simulate>[0], simulator: Simulator): Client {
  const client = new Client(`${simulator.websocketUrl}?api_key=test`)
  t.after(() => client.websocket.terminate())
  return client
}

/** WebSocket and REST deliver. */
async function delivers(t: Parameters<typeof simulate>[0], simulator: Simulator): Promise<void> {
  const client = connect(t, simulator)
  await client.message('20')
  client.add(SUB)
  await client.message('0')
  assert.equal((await call(simulator, PRICE)).status, 200)
}

describe('while it misbehaves', () => {
  test('drop cuts what is open and refuses what comes, WebSocket and REST', async (t) => {
    const simulator = await simulate(t, ONE_MARKET)
    const open = await Client.open(t, simulator)
    await simulator.misbehave(['drop'])
    assert.equal(await open.ended(), 1006)
    const refused = connect(t, simulator)
    assert.equal(await refused.ended(), 1006)
    assert.deepEqual(refused.frames, [])
    await assert.rejects(call(simulator, PRICE), 'REST is refused')
    await simulator.misbehave([])
    await delivers(t, simulator)
  })

  test('drop:N cuts each WebSocket every N seconds and takes it again', async (t) => {
    const simulator = await simulate(t, { ...ONE_MARKET, misbehave: ['drop:0.05'] })
    for (let i = 0; i < 3; i++) {
      const client = connect(t, simulator)
      assert.equal(await client.ended(), 1006)
    }
    assert.equal((await call(simulator, PRICE)).status, 200)
  })

  test('stall sends nothing, not even heartbeats; afterwards what is open goes on without a hole', async (t) => {
    const path = await temporaryFile(t, 'ledger.jsonl')
    const simulator = await simulate(t, {
      ...ONE_MARKET,
      ledger: path,
      heartbeatSeconds: 0.02,
    })
    const client = await Client.open(t, simulator)
    client.add(SUB)
    await client.until('trades', () => client.trades().length > 50)
    await simulator.misbehave(['stall'])
    const { emitted } = await simulator.stats()
    const late = connect(t, simulator)
    const hanging = call(simulator, PRICE)
    // What was written before may still be on its way, so the first hundred trades are let pass.
    const progress = async (more: number) => {
      const before = (await simulator.stats()).emitted
      while ((await simulator.stats()).emitted < before + more) await setTimeout(5)
    }
    await progress(100)
    const frames = client.frames.length
    await progress(300)
    assert.equal(client.frames.length, frames, 'nothing arrives')
    assert.equal(late.frames.length, 0)
    assert.equal(late.websocket.readyState, late.websocket.CONNECTING)
    const { emitted: meanwhile } = await simulator.stats()
    assert.ok(meanwhile > emitted + 300, 'the walk goes on')
    await simulator.misbehave([])
    assert.equal((await hanging).status, 200)
    await late.message('20')
    await client.message('999')
    await client.until('what was held back', () => client.trades().length > meanwhile)
    await simulator.close()
    const trades = client.trades().map(asLedgerLine)
    assert.deepEqual(trades, (await readLedger(path)).slice(0, trades.length))
  })

  test('401 answers both by what a bad key gets', async (t) => {
    const simulator = await simulate(t, ONE_MARKET)
    const open = await Client.open(t, simulator)
    await simulator.misbehave(['401'])
    assert.equal((await open.message('401'))['MESSAGE'], 'UNAUTHORIZED')
    await open.ended()
    const refused = connect(t, simulator)
    await refused.message('401')
    await refused.ended()
    assert.equal(refused.of('20').length, 0)
    const { status, body } = await call(simulator, PRICE)
    assert.equal(status, 401)
    assert.ok('Err' in body)
    await simulator.misbehave([])
    await delivers(t, simulator)
  })

  test('429 answers both by the rate limit, TYPE as a text and as a number', async (t) => {
    const simulator = await simulate(t, { ...ONE_MARKET, misbehave: ['429'] })
    const seen = new Set<unknown>()
    for (let i = 0; i < 2; i++) {
      const refused = connect(t, simulator)
      await refused.ended()
      assert.equal(refused.messages.length, 1)
      const [refusal = {}] = refused.messages
      seen.add(refusal['TYPE'])
      assert.match(
        String(refusal['MESSAGE']),
        /^(RATE_LIMIT_OPENING_SOCKETS_TOO_FAST|TOO_MANY_SOCKETS_MAX_1_PER_CLIENT)$/,
      )
    }
    assert.deepEqual(seen, new Set(['429', 429]))
    const { status, body } = await call(simulator, PRICE)
    assert.deepEqual([status, body['Response'], body['Type']], [200, 'Error', 99])
    assert.equal(body['Message'], 'You are over your rate limit please upgrade your account!')
    const limits = body['RateLimit'] as Record<string, Record<string, unknown>>
    assert.equal(typeof limits['calls_made']?.['total_calls'], 'number')
    assert.equal(typeof limits['max_calls']?.['month'], 'number')
    await simulator.misbehave([])
    await delivers(t, simulator)
  })

  test('close accepts and closes at once', async (t) => {
    const simulator = await simulate(t, ONE_MARKET)
    const open = await Client.open(t, simulator)
    await simulator.misbehave(['close'])
    assert.equal(await open.ended(), 1001)
    let opened = false
    const client = connect(t, simulator)
    client.websocket.on('open', () => {
      opened = true
    })
    assert.equal(await client.ended(), 1001)
    assert.ok(opened, 'the handshake succeeds')
    assert.deepEqual(client.frames, [])
    await assert.rejects(call(simulator, PRICE))
    await simulator.misbehave([])
    await delivers(t, simulator)
  })

  for (const mode of ['ws-drop', 'ws-stall', 'ws-close', 'ws-401', 'ws-429']) {
    test(`${mode} leaves REST alone`, async (t) => {
      const simulator = await simulate(t, { ...ONE_MARKET, misbehave: [mode] })
      const client = connect(t, simulator)
      if (mode !== 'ws-stall') await client.ended()
      assert.equal((await call(simulator, PRICE)).status, 200)
      assert.equal(client.of('20').length, 0)
      await simulator.misbehave([])
      await delivers(t, simulator)
    })
  }

  for (const mode of [
    'duplicate',
    'out-of-order',
    'garbage',
    'duplicate,out-of-order,garbage',
    'garbage:1',
  ]) {
    test(`${mode} sends every real trade, and the ledger has it once`, async (t) => {
      const path = await temporaryFile(t, 'ledger.jsonl')
      const simulator = await simulate(t, {
        ...ONE_MARKET,
        rate: 15_000,
        events: 2_000,
        ledger: path,
        misbehave: parseModes(mode),
      })
      const client = await Client.open(t, simulator)
      client.add(SUB)
      await simulator.done
      await client.settled()
      const ledger = await readLedger(path)
      const ids = ledger.map((line) => line.id)
      assert.equal(new Set(ids).size, 2_000)
      const real = new Map(ledger.map((line) => [line.id, line]))
      const valid = client.trades().filter((trade) => real.has(String(trade['ID'])))
      for (const trade of valid) assert.deepEqual(asLedgerLine(trade), real.get(String(trade['ID'])))
      const received = valid.map((trade) => String(trade['ID']))
      assert.deepEqual(new Set(received), new Set(ids), 'all real trades are sent')

      const stats = await simulator.stats()
      const has = (name: string) => mode.includes(name)
      assert.equal(stats.duplicates > 0, has('duplicate'))
      assert.equal(stats.swaps > 0, has('out-of-order'))
      assert.equal(stats.garbage > 0, has('garbage'))
      assert.equal(received.length, 2_000 + stats.duplicates)
      if (!has('out-of-order') && !has('duplicate')) assert.deepEqual(received, ids)
      const distinct = received.filter((id, i) => received[i - 1] !== id)
      if (has('duplicate') && !has('out-of-order')) assert.deepEqual(distinct, ids)
      if (has('out-of-order')) assert.notDeepEqual(distinct, ids)
      if (has('garbage')) {
        assert.ok(client.frames.includes('<binary>'), 'random bytes')
        assert.ok(client.frames.includes('{}'), 'empty objects')
        assert.ok(
          client.frames.some((frame) => frame.startsWith('{"TYPE":"0"') && !frame.endsWith('}')),
          'broken JSON',
        )
        assert.ok(client.trades().length > received.length, 'frames of wrong types')
      }
    })
  }

  test('a quiet market sees garbage and out-of-order trades too', async (t) => {
    const simulator = await simulate(t, {
      markets: ['coinbase:BTC-USD'],
      rate: 5,
      quoteMillis: 20,
      misbehave: ['garbage', 'out-of-order:1'],
    })
    const client = await Client.open(t, simulator)
    client.add(SUB)
    const ids = () =>
      new Set(client.trades().flatMap((trade) => (typeof trade['RTSNS'] === 'number' ? [trade['ID']] : [])))
    await client.until('two trades', () => ids().size >= 2)
    // More than come with the trades.
    while ((await simulator.stats()).garbage <= (await simulator.stats()).emitted) await setTimeout(5)
  })

  test('the walk is the same whether or not it misbehaves', async (t) => {
    const run = async (misbehave: string[]) => {
      const path = await temporaryFile(t, 'ledger.jsonl')
      const simulator = await simulate(t, {
        ...ONE_MARKET,
        rate: 5_000,
        events: 800,
        ledger: path,
        misbehave,
      })
      const client = await Client.open(t, simulator)
      client.add(SUB)
      await simulator.done
      return (await readLedger(path)).map(({ price, size, side }) => [price, size, side])
    }
    assert.deepEqual(await run(['duplicate', 'garbage', 'out-of-order']), await run([]))
  })
})

describe('misbehaviour is changed over HTTP while it runs', () => {
  const post = (simulator: Simulator, body: unknown) =>
    call(simulator, '/misbehave', {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })

  test('POST /misbehave sets it, GET shows it, in every mode', async (t) => {
    const simulator = await simulate(t, ONE_MARKET)
    for (const [body, modes] of [
      [{ modes: ['drop'] }, ['drop']],
      [{ modes: ['stall', 'garbage:0.5'] }, ['stall', 'garbage:0.5']],
      [{ modes: 'close,duplicate' }, ['close', 'duplicate']],
      [{ modes: ['401', 'duplicate', 'drop:3'], only: 'websocket' }, ['ws-401', 'duplicate', 'drop:3']],
      [{ modes: [] }, []],
    ] as const) {
      assert.deepEqual((await post(simulator, body)).body, { modes })
      assert.deepEqual((await call(simulator, '/misbehave', {})).body, { modes })
      assert.deepEqual((await call(simulator, '/stats', {})).body['misbehave'], modes)
    }
    await delivers(t, simulator)
  })

  test('what makes no sense is refused and changes nothing', async (t) => {
    const simulator = await simulate(t, { ...ONE_MARKET, misbehave: ['duplicate'] })
    for (const body of [
      '',
      '{',
      [],
      {},
      { modes: ['explode'] },
      { modes: 5 },
      { modes: ['drop'], only: 'rest' },
    ]) {
      const { status, body: answer } = await post(simulator, body)
      assert.equal(status, 400, JSON.stringify(body))
      assert.equal(typeof answer['error'], 'string')
    }
    assert.equal((await call(simulator, '/misbehave', { method: 'DELETE' })).status, 405)
    assert.deepEqual((await simulator.stats()).misbehave, ['duplicate'])
    await assert.rejects(simulator.misbehave(['explode']), { code: 'USAGE' })
    assert.deepEqual((await simulator.stats()).misbehave, ['duplicate'])
  })

  test('modes have names, prefixes and numbers', () => {
    for (const bad of [
      'explode',
      'ws-duplicate',
      'duplicate:2',
      'drop:0',
      'stall:3',
      '401:1',
      'ws-',
      ':',
      'DROP',
      'drop:x',
    ]) {
      assert.throws(() => parseModes(bad), { code: 'USAGE' }, bad)
    }
    assert.deepEqual(parseModes(' drop , ws-401,'), ['drop', 'ws-401'])
    const both = new Misbehaviour(['ws-401', 'stall', 'ws-drop'])
    assert.deepEqual([both.outage('websocket'), both.outage('rest')], ['drop', 'stall'])
    assert.equal(new Misbehaviour(['garbage:0.4']).share('garbage'), 0.4)
  })
})
