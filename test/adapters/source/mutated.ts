import assert from 'node:assert/strict'
import type { SourceHealth, SourceItem } from '../../../src/ports/source.ts'
import { EFFORT } from '../../effort.ts'
import { Decoded, type Decoder } from './decoded.ts'

/** How many are sent. */
export const MUTATED = 10_000 * EFFORT

/** The same numbers for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** The trades that a source has delivered, in the form of the decoders. */
export function decodedTrades(items: readonly SourceItem[]): Decoded {
  const into = new Decoded()
  for (const item of items) {
    if (item.channel !== 'trade') continue
    const { symbol, id, side, price, size, ts } = item.event
    into.trade(symbol, id, side, price, size, ts)
  }
  return into
}

const CHARACTERS = '0123456789-+.eE"{}[],:x \\u'

/** The text with one character replaced, left out or put in. */
function mutated(text: string, random: () => number): string {
  const at = Math.floor(random() * text.length)
  const [gone, put] = [Math.floor(random() * 2), random() < 0.8]
  const character = CHARACTERS[Math.floor(random() * CHARACTERS.length)] ?? ''
  return text.slice(0, at) + (put || gone === 0 ? character : '') + text.slice(at + gone)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Nobody looks at the books of spoilt frames, which grow. */
class PossibleTrades extends Decoded {
  override shown(): void {}
}

interface Spoilt {
  /** Whole frames, and behind them mutated ones, by connections. */
  readonly connections: readonly (readonly string[])[]
  /** Fails where a trade came that no frame has, or where a frame that is no JSON was not counted. */
  readonly check: (items: readonly SourceItem[], counters: SourceHealth['counters']) => void
}

/** A conversation, and then frames of it that are mutated. */
export function spoiltFrames(decoder: Decoder, seed: number): Spoilt {
  const random = randomOf(seed)
  const texts = decoder.frames(random)
  const data = texts.filter((text) => !text.includes('"event"'))
  const drawn = Array.from({ length: MUTATED }, () => data[Math.floor(random() * data.length)] ?? '')
  const sent: string[] = []
  const spoil = (text: string): string => {
    const changed = sent.length < texts.length ? text : mutated(text, random)
    sent.push(changed)
    return changed
  }
  const whole = [...texts, ...drawn]
  const connections = decoder.connections?.(whole, spoil) ?? [whole.map(spoil)]
  const possible = new PossibleTrades()
  for (const text of sent)
    try {
      decoder.read(text, possible)
    } catch {
      // Nothing can be read in it: no row of it may come.
    }
  const broken = sent.slice(texts.length).filter((text) => !isJson(text)).length
  return {
    connections,
    check(items, { malformed }) {
      const found = decodedTrades(items)
      for (const symbol of decoder.symbols) {
        const rows = new Set(possible.trades.get(symbol))
        const trades = found.trades.get(symbol) ?? []
        assert.deepEqual(
          trades.filter((row) => !rows.has(row)),
          [],
        )
        assert.ok(trades.length > 100)
      }
      assert.ok(broken > MUTATED / 10)
      assert.ok(malformed >= broken, `${malformed} of ${broken} are counted`)
    },
  }
}
