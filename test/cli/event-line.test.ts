import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventLine } from '../../src/cli/tail/event-line.ts'

const market = { exchange: 'kraken', symbol: 'BTC-EUR' }
const ts = 1_618_677_810_244_075
const time = '2021-04-17T16:43:30.244075Z'
const start = `${time} kraken    BTC-EUR  `

const EVENTS: readonly (readonly [kind: string, event: object, line: string])[] = [
  [
    'trade',
    { ...market, id: 'x1', side: 'sell', price: 51_000.5, size: 0.25, ts, recvTs: ts + 5 },
    `${start} sell    0.25 @ 51000.5  #x1`,
  ],
  [
    'quote with one side',
    { ...market, bid: 1.5, bidSize: 2, last: 1.6, ts, recvTs: ts },
    `${start} bid 1.5 (2)  last 1.6`,
  ],
  [
    'open candle',
    {
      ...market,
      interval: '1m',
      open: 1,
      high: 3,
      low: 0.5,
      close: 2,
      volume: 9,
      ts,
      closed: false,
      origin: 'source',
    },
    `${start} 1m open 1  high 3  low 0.5  close 2  volume 9  (still open)`,
  ],
  [
    'book',
    { ...market, snapshot: true, bids: [[1, 2]], asks: [], seq: 1, ts, recvTs: ts },
    `${start} snapshot 1 bids, 0 asks  bid 1 (2)`,
  ],
  [
    'gap',
    { source: 'cryptocompare', ...market, state: 'gap', from: ts, to: ts + 1, detail: 'away', ts },
    `${time} cryptocompare kraken BTC-EUR: gap from ${time} to 2021-04-17T16:43:30.244076Z  away`,
  ],
  [
    'gap with its cause',
    { source: 'replay', ...market, state: 'gap', from: ts, to: ts, detail: 'away', ts, cause: 'restart' },
    `${time} replay kraken BTC-EUR: gap from ${time} to ${time} (restart)  away`,
  ],
  [
    'status of a source',
    { source: 'replay', exchange: '', state: 'connected', detail: 'opened', ts },
    `${time} replay: connected  opened`,
  ],
  [
    'anything else',
    { offset: 3, key: 'k', value: { ts } },
    '{"offset":3,"key":"k","value":{"ts":1618677810244075}}',
  ],
]

for (const [kind, event, line] of EVENTS) {
  test(`a ${kind} as a line`, () => assert.equal(eventLine(event), line))
}

test('what an exchange puts into a name cannot steer the terminal', () => {
  const line = eventLine({ ...market, id: '\u001b[2J', side: 'buy', price: 1, size: 1, ts, recvTs: ts })
  assert.equal(line, `${start} buy     1 @ 1  # [2J`)
})
