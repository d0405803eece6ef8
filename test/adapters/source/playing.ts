import type { TestContext } from 'node:test'
import type { Trade } from '../../../src/domain/events.ts'
import type { ScriptLine, TickerLine } from '../../contract/source.ts'
import { Service, sendFrame } from './service.ts'

/** What a frame of a service says. */
export type SentLine = Omit<Trade, 'recvTs'> | TickerLine

const SPOILT: SentLine = {
  ...{ exchange: 'coinbase', symbol: 'BTC-USD', id: 'SPOILT' },
  ...{ side: 'buy', price: 1, size: 1, ts: 1_753_190_418_000_000 },
}

/** A line of a script as its service sends it: `no-utf8` is a trade whose id is one byte that is no UTF-8. */
export function written(
  line: Exclude<ScriptLine, 'reconnect'>,
  frame: (line: SentLine) => object,
): string | Buffer | object {
  if (line === 'garbage') return 'no frame of any protocol'
  if (line !== 'no-utf8') return frame(line)
  return Buffer.from(JSON.stringify(frame(SPOILT)).replace('SPOILT', '\xff'), 'latin1')
}

interface Played {
  readonly isSubscribe: (asked: object) => boolean
  readonly frame: (line: SentLine) => object
  /** What the service answers to what a client sends, before anything else. */
  readonly answers?: (asked: object) => readonly object[]
}

/** A service that sends the lines of a script to whoever subscribes, each once; `reconnect` ends the connection. */
export function playing(
  t: TestContext,
  lines: readonly ScriptLine[],
  { isSubscribe, frame, answers }: Played,
): Promise<Service> {
  const left = [...lines]
  return Service.start(t, {
    received: (asked, socket) => {
      for (const answer of answers?.(asked) ?? []) sendFrame(socket, answer)
      if (!isSubscribe(asked)) return
      for (let line = left.shift(); line !== undefined; line = left.shift()) {
        if (line === 'reconnect') return socket.close()
        sendFrame(socket, written(line, frame))
      }
    },
  })
}
