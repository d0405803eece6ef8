import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Client, call, simulate } from './client.ts'

type Row = Record<string, number>

function rowsOf(body: Record<string, unknown>): Row[] {
  return (body['Data'] as { Data: Row[] }).Data
}

describe('the simulator speaks REST', () => {
  test('/data/price is a bare object, for an exchange or the aggregate', async (t) => {
    const simulator = await simulate(t)
    const { status, body, headers } = await call(simulator, '/data/price?fsym=BTC&tsyms=USD,EUR,XXX')
    assert.equal(status, 200)
    assert.deepEqual(Object.keys(body), ['USD', 'EUR'])
    assert.ok(Number(body['USD']) > 10_000)
    assert.match(
      headers.get('x-ratelimit-remaining-all') ?? '',
      /^\d+, \d+;window=1, \d+;window=60, \d+;window=3600/,
    )
    assert.match(headers.get('x-ratelimit-reset-all') ?? '', /^\d+, \d+;window=1/)
    const client = await Client.open(t, simulator)
    client.add('0~Coinbase~BTC~USD')
    await client.message('0')
    const { body: one } = await call(simulator, '/data/price?fsym=BTC&tsyms=USD&e=Coinbase&api_key=k', {})
    assert.equal(one['USD'], client.trades().at(-1)?.['P'])
  })

  test('/data/pricemultifull gives RAW and DISPLAY of each pair that there is', async (t) => {
    const simulator = await simulate(t)
    const { body } = await call(simulator, '/data/pricemultifull?fsyms=BTC,ETH,FOO&tsyms=USD,EUR')
    const raw = body['RAW'] as Record<string, Record<string, Record<string, unknown>>>
    assert.deepEqual(Object.keys(raw), ['BTC', 'ETH'])
    assert.deepEqual(Object.keys(raw['ETH'] ?? {}), ['USD', 'EUR'])
    const eth = raw['ETH']?.['USD'] ?? {}
    assert.deepEqual(
      [eth['TYPE'], eth['MARKET'], eth['FROMSYMBOL'], eth['FLAGS']],
      ['5', 'CCCAGG', 'ETH', '2052'],
    )
    for (const field of [
      ...[
        'PRICE',
        'LASTUPDATE',
        'MEDIAN',
        'VOLUMEHOUR',
        'VOLUMEDAY',
        'VOLUME24HOUR',
        'VOLUME24HOURTO',
        'OPENDAY',
      ],
      ...[
        'HIGH24HOUR',
        'LOW24HOUR',
        'CHANGE24HOUR',
        'CHANGEPCT24HOUR',
        'SUPPLY',
        'MKTCAP',
        'TOTALVOLUME24HTO',
      ],
    ]) {
      assert.equal(typeof eth[field], 'number', field)
    }
    assert.ok(Number(eth['LOW24HOUR']) <= Number(eth['HIGH24HOUR']))
    const display = body['DISPLAY'] as typeof raw
    assert.match(String(display['BTC']?.['USD']?.['PRICE']), /^\$ [\d,.]+$/)
    const { body: coinbase } = await call(simulator, '/data/pricemultifull?fsyms=ETH&tsyms=USD&e=Coinbase')
    const own = (coinbase['RAW'] as typeof raw)['ETH']?.['USD'] ?? {}
    assert.deepEqual([own['TYPE'], own['MARKET'], own['LASTMARKET']], ['2', 'Coinbase', 'Coinbase'])
  })

  for (const [name, seconds] of [
    ['histominute', 60],
    ['histohour', 3_600],
    ['histoday', 86_400],
  ] as const) {
    test(`/data/v2/${name} gives limit + 1 rows up to now, the same each time`, async (t) => {
      const simulator = await simulate(t)
      const path = `/data/v2/${name}?fsym=ETH&tsym=USD&e=Kraken&limit=10`
      const asked = Date.now() / 1000
      const { body } = await call(simulator, path)
      assert.deepEqual([body['Response'], body['Type'], body['HasWarning']], ['Success', 100, false])
      const rows = rowsOf(body)
      assert.equal(rows.length, 11)
      for (const [i, row] of rows.entries()) {
        assert.equal((row['time'] ?? 0) % seconds, 0)
        if (i > 0) assert.equal(row['time'], (rows[i - 1]?.['time'] ?? 0) + seconds)
        const { open = 0, high = 0, low = 0, close = 0 } = row
        assert.ok(low <= Math.min(open, close) && high >= Math.max(open, close))
        assert.ok((row['volumefrom'] ?? 0) > 0)
        assert.equal(row['conversionType'], 'direct')
      }
      const data = body['Data'] as { TimeFrom: number; TimeTo: number; Aggregated: boolean }
      assert.deepEqual([data.TimeFrom, data.TimeTo], [rows[0]?.['time'], rows[10]?.['time']])
      assert.ok(data.TimeTo > asked - seconds && data.TimeTo <= Date.now() / 1000)

      // toTs is inclusive: the last row is the one that it lies in.
      const { body: earlier } = await call(simulator, `${path}&toTs=${rows[5]?.['time']}`)
      assert.equal(rowsOf(earlier).length, 11)
      assert.deepEqual(rowsOf(earlier).at(-1), rows[5])
      assert.deepEqual(rowsOf(earlier).slice(-6), rows.slice(0, 6))
    })
  }

  test('aggregate puts rows together', async (t) => {
    const simulator = await simulate(t)
    const { body } = await call(simulator, '/data/v2/histominute?fsym=BTC&tsym=EUR&limit=3&aggregate=5')
    const whole = rowsOf(body)[1] ?? {}
    assert.equal((whole['time'] ?? 1) % 300, 0)
    const { body: parts } = await call(
      simulator,
      `/data/v2/histominute?fsym=BTC&tsym=EUR&limit=4&toTs=${(whole['time'] ?? 0) + 240}`,
    )
    const minutes = rowsOf(parts)
    assert.equal(whole['open'], minutes[0]?.['open'])
    assert.equal(whole['close'], minutes[4]?.['close'])
    assert.equal(whole['high'], Math.max(...minutes.map((row) => row['high'] ?? 0)))
    assert.equal(whole['low'], Math.min(...minutes.map((row) => row['low'] ?? 0)))
  })

  test('a history reaches as far back as 2000 days', async (t) => {
    const simulator = await simulate(t)
    const { body } = await call(simulator, '/data/v2/histoday?fsym=BTC&tsym=USD&limit=2000')
    assert.equal(rowsOf(body).length, 2_001)
  })

  test('errors come as HTTP 200 with a type', async (t) => {
    const simulator = await simulate(t)
    for (const [path, type, parameter] of [
      ['/data/price?tsyms=USD', 2, 'fsym'],
      ['/data/price?fsym=BTC', 2, 'tsyms'],
      ['/data/price?fsym=FOO&tsyms=USD', 1, undefined],
      ['/data/pricemultifull?fsyms=FOO&tsyms=USD', 1, undefined],
      ['/data/v2/histominute?fsym=BTC&tsym=FOO', 1, undefined],
      ['/data/v2/histominute?fsym=BTC&tsym=USD&e=Nowhere', 1, undefined],
      ['/data/v2/histominute?fsym=BTC&tsym=USD&limit=2001', 2, 'limit'],
      ['/data/v2/histoday?fsym=BTC&tsym=USD&aggregate=0', 2, 'aggregate'],
      ['/data/v2/histoday?fsym=BTC&tsym=USD&toTs=now', 2, 'toTs'],
    ] as const) {
      const { status, body } = await call(simulator, path)
      assert.equal(status, 200, path)
      assert.deepEqual(
        [body['Response'], body['Type'], body['ParamWithError']],
        ['Error', type, parameter],
        path,
      )
      assert.deepEqual(body['Data'], {}, path)
      if (type === 1) assert.match(String(body['Message']), /market does not exist for this coin pair/)
    }
    assert.equal((await call(simulator, '/data/nothing')).status, 404)
  })

  test('a call without a key is answered by 401', async (t) => {
    const simulator = await simulate(t)
    for (const path of ['/data/price?fsym=BTC&tsyms=USD', '/stats/rate/limit']) {
      const { status, body } = await call(simulator, path, {})
      assert.equal(status, 401)
      assert.equal((body['Err'] as Record<string, unknown>)['http_status_code'], 401)
    }
  })

  test('/stats/rate/limit counts the calls', async (t) => {
    const simulator = await simulate(t)
    for (let i = 0; i < 3; i++) await call(simulator, '/data/price?fsym=BTC&tsyms=USD')
    const { body } = await call(simulator, '/stats/rate/limit')
    const data = body['Data'] as Record<string, Record<string, number>>
    assert.deepEqual([data['calls_made']?.['month'], data['calls_made']?.['total_calls']], [3, 3])
    assert.equal(data['calls_left']?.['month'], 100_000 - 3)
  })
})
