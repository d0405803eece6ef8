import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sourceFindings } from '../../src/cli/doctor/platform.ts'

const health = { way: 'websocket', markets: 2, failure: null, without: [] }

const found = (source: object, id = 'producer') =>
  sourceFindings({ id, machine: 'producer', context: { source } }).map(({ check, status, detail }) => {
    return [check, status, detail]
  })

test('doctor says of each source of a running platform how it is', () => {
  const one = { ...health, name: 'kraken' }
  assert.deepEqual(found(one), [['source', 'ok', 'the running platform has 2 markets, by websocket']])
  const away = { ...health, name: 'okx', way: 'none', markets: 1, failure: 'SOURCE_UNAVAILABLE: refused' }
  const without = ['gemini:NO-USD (MARKET_UNKNOWN: invalid)']
  const lacking = { ...health, name: 'gemini', without }
  assert.deepEqual(found({ ...one, name: 'sources', members: [one, away, lacking] }), [
    ['source kraken', 'ok', 'the running platform has 2 markets, by websocket'],
    [
      'source okx',
      'warn',
      'the running platform has 1 market, and no way delivers: SOURCE_UNAVAILABLE: refused',
    ],
    [
      'source gemini',
      'warn',
      'the running platform has 2 markets, by websocket, and no data of gemini:NO-USD (MARKET_UNKNOWN: invalid)',
    ],
  ])
})

test('the producers of other processes are not asked about', () => {
  assert.deepEqual(found({ ...health, name: 'kraken' }, 'producer@other'), [])
})
