import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { SOURCES } from '../../../src/adapters/source/index.ts'
import { DIALECTS, type SimulatedExchange } from '../../../src/simulator/exchanges/index.ts'
import type { SentLine } from './playing.ts'

type Asked = Readonly<Record<string, unknown>>

/** How one exchange speaks, as the simulator has it, for a small service of a test, and what its source is expected to do. */
export interface Speaker {
  readonly kind: SourceKind
  readonly idsRise: boolean
  readonly bestOnly: boolean
  /** What it calls a market. */
  readonly name: (symbol: string) => string
  readonly frame: (line: SentLine) => object
  /** The names of the markets that a request asks for; undefined for anything else. */
  readonly asks: (asked: Asked) => readonly string[] | undefined
  /** The answers to a request: it takes the markets but for `unknown`. */
  readonly answer: (asked: Asked, unknown: readonly string[]) => readonly object[]
  /** Nothing tells that a market is unknown. */
  readonly isSilent?: true
  /** So many requests ask for one market. */
  readonly requests: number
}

type Expected = Pick<Speaker, 'idsRise' | 'bestOnly' | 'requests' | 'isSilent'>

/** Coinbase's source has a protocol and tests of its own. */
const EXPECTED: Readonly<Record<Exclude<SimulatedExchange, 'coinbase'>, Expected>> = {
  binance: { idsRise: true, bestOnly: true, requests: 1, isSilent: true },
  bitfinex: { idsRise: false, bestOnly: true, requests: 2 },
  bitstamp: { idsRise: false, bestOnly: true, requests: 2, isSilent: true },
  bybit: { idsRise: false, bestOnly: true, requests: 1 },
  gemini: { idsRise: false, bestOnly: true, requests: 1 },
  kraken: { idsRise: false, bestOnly: false, requests: 2 },
  okx: { idsRise: true, bestOnly: true, requests: 1 },
}

export const SPEAKERS: readonly Speaker[] = (Object.keys(EXPECTED) as (keyof typeof EXPECTED)[]).map(
  (exchange): Speaker => {
    const { nameOf, frame, asks, answer } = DIALECTS[exchange]
    return {
      ...{ kind: SOURCES[exchange], ...EXPECTED[exchange], name: nameOf, frame, answer },
      asks(asked) {
        const request = asks(asked)
        return request?.op === 'subscribe' ? [...new Set(request.topics.map(({ name }) => name))] : undefined
      },
    }
  },
)
