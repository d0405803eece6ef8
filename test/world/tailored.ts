import type { Channel, EventOf, Quote, Trade } from '../../src/domain/events.ts'
import type { StreamSpec } from '../../src/domain/stream-spec.ts'
import type { WindowSpec } from '../../src/domain/stream-windows.ts'

/** What an application may ask for: a filter as it writes it, what that means, the fields to take, windows. */
interface Wish extends WindowSpec {
  readonly where?: string
  readonly takes: (event: EventOf[Channel]) => boolean
  readonly fields?: readonly string[]
}

type Request = Omit<Wish, 'takes'>

const all = (): boolean => true
const isOdd = (value: number | undefined): boolean => (value ?? 0) % 2 === 1

const WISHES: Readonly<Record<'trade' | 'quote' | 'status', readonly Wish[]>> = {
  trade: [
    { where: 'side == "buy"', takes: (event) => (event as Trade).side === 'buy' },
    { takes: all, fields: ['exchange', 'symbol', 'id', 'ts'] },
    {
      where: 'double(id) % 2 == 1',
      takes: (event) => isOdd(Number((event as Trade).id)),
      fields: ['exchange', 'symbol', 'id', 'side', 'ts'],
    },
    { takes: all, every: '500ms', lateness: '100ms' },
    { takes: all, interval: '5s', lateness: '0ms' },
  ],
  quote: [
    { where: 'bid % 2 == 1', takes: (event) => isOdd((event as Quote).bid) },
    { takes: all, fields: ['exchange', 'symbol', 'bid', 'ts'] },
    { takes: all, every: '1s', lateness: '0ms' },
  ],
  status: [],
}

const known = new Map(Object.values(WISHES).flatMap((wishes) => wishes.map((wish) => [nameOf(wish), wish])))

function nameOf({ where, fields }: { readonly where?: string; readonly fields?: readonly string[] }): string {
  return `${where} ${fields}`
}

/** What an application may ask for besides markets; nothing in most cases. */
export function anyWish(channel: 'trade' | 'quote' | 'status', random: () => number): Request {
  const wishes = WISHES[channel]
  const { takes: _takes, ...request } = wishes[Math.floor(random() * wishes.length * 2)] ?? { takes: all }
  return request
}

/** What a stream makes of the text of an event, told by its wish and not by the platform's own functions; undefined where it does not take it. */
export function tailored(spec: StreamSpec, event: EventOf[Channel], text: string): string | undefined {
  if (spec.where === undefined && spec.fields === undefined) return text
  const wish = known.get(nameOf(spec))
  if (wish === undefined) throw new Error(`nobody asked for ${JSON.stringify(spec)}`)
  if (!wish.takes(event)) return undefined
  const { fields } = wish
  if (fields === undefined) return text
  const whole = JSON.parse(text)
  return JSON.stringify(Object.fromEntries(fields.map((field) => [field, whole[field]])))
}
