import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SourceItem } from '../../../src/ports/source.ts'
import { describeSource } from '../../contract/source.ts'
import { SEED } from '../../seed.ts'
import { SPEAKERS, type Speaker } from './exchanges.ts'
import { openOn } from './opened.ts'
import { playing } from './playing.ts'
import { survive } from './random-frames.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, pull } from './waiting.ts'

const TS = 1_753_190_418_654_000

const trade = ({ kind }: Speaker, symbol: string, id: string) => ({
  ...{ exchange: kind.name, symbol, id, side: 'buy' as const },
  ...{ price: 100.25, size: 0.5, ts: TS },
})

for (const speaker of SPEAKERS) {
  const { kind, idsRise, bestOnly, frame, asks, answer, requests } = speaker
  /** The script begins when the last of its markets is asked for. */
  const lastAsked = () => {
    let seen = 0
    return (asked: object) => {
      const names = asks(asked as Record<string, unknown>)
      if (!names?.includes(speaker.name('ETH-USD'))) return false
      seen++
      return seen % requests === 0
    }
  }

  describeSource(kind.name, {
    way: 'websocket',
    exchange: kind.name,
    finite: false,
    idsRise,
    ...(bestOnly && { bestOnly }),
    open: async (t, { markets, lines }) => {
      const answers = (asked: object) =>
        asks(asked as Record<string, unknown>) ? answer(asked as Record<string, unknown>, []) : []
      const service = await playing(t, lines, { isSubscribe: lastAsked(), frame, answers })
      return (await openOn(t, kind, service, { markets })).source
    },
  })

  if (!speaker.isSilent)
    describe(`${kind.title} refuses`, () => {
      const markets = ['BTC-USD', 'LTC-USD', 'ETH-USD'].map((symbol) => ({ exchange: kind.name, symbol }))

      test('one market is accused, the others are delivered', async (t) => {
        const service = await Service.start(t, {
          received(asked, socket) {
            const names = asks(asked)
            if (names === undefined) return
            const unknown = names.filter((name) => name === speaker.name('LTC-USD'))
            const answers = answer(asked, unknown)
            for (const each of answers) sendFrame(socket, each)
            // Where the whole request is refused, none of its markets comes.
            const isRefused = answers.length === 1 && unknown.length > 0
            for (const { symbol } of isRefused ? [] : markets)
              if (names.includes(speaker.name(symbol)) && symbol !== 'LTC-USD')
                sendFrame(socket, frame(trade(speaker, symbol, '7')))
          },
        })
        const { source } = await openOn(t, kind, service, { markets })
        const symbols = (items: readonly SourceItem[]) =>
          [...new Set(eventsOf(items, 'trade').map(({ symbol }) => symbol))].sort()
        const items = await pull(source, 'both others deliver', (all) => symbols(all).length === 2)
        assert.deepEqual(symbols(items), ['BTC-USD', 'ETH-USD'])
        assert.deepEqual(
          source.health().without.map(({ symbol, why }) => [symbol, why.split(':')[0]]),
          [['LTC-USD', 'MARKET_UNKNOWN']],
        )
      })
    })

  test(`${kind.title}: random frames stop nothing (seed ${SEED})`, async (t) => {
    const service = await Service.start(t, {
      received: (asked, socket) => {
        for (const each of asks(asked) ? answer(asked, []) : []) sendFrame(socket, each)
      },
    })
    const { source } = await openOn(t, kind, service, {
      markets: [{ exchange: kind.name, symbol: 'BTC-USD' }],
      reconnect: 1_000,
    })
    const at = { symbol: 'BTC-USD', ts: TS }
    const valid = [frame(trade(speaker, 'BTC-USD', '1')), frame({ ...at, ticker: { bid: 1, ask: 2 } })]
    await survive(source, service, { valid, last: frame(trade(speaker, 'BTC-USD', 'last')) })
  })
}
