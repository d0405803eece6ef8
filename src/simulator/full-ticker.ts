import { Aggregate } from './aggregate.ts'
import type { WalkClock } from './clock.ts'
import type { Instrument } from './instrument.ts'
import { ASSETS } from './markets.ts'
import { tickerFields, tickerFlags, tickerType } from './ticker.ts'

/** What `pricemultifull` gives of one pair, in RAW: the ticker's fields and those that only REST has. */
export function raw(instrument: Instrument, clock: WalkClock): Record<string, number | string> {
  const fields = tickerFields(instrument, clock)
  const number = (name: string) => Number(fields[name] ?? 0)
  const change = (window: string) => number('PRICE') - number(`OPEN${window}`)
  const percent = (window: string) => {
    const open = number(`OPEN${window}`)
    return open === 0 ? 0 : (change(window) / open) * 100
  }
  const supply = ASSETS[instrument.base]?.supply ?? 0
  return {
    TYPE: tickerType(instrument),
    MARKET: instrument.market,
    FROMSYMBOL: instrument.base,
    TOSYMBOL: instrument.quote,
    FLAGS: String(tickerFlags(fields, fields)),
    ...fields,
    LASTMARKET: instrument instanceof Aggregate ? (fields['LASTMARKET'] ?? '') : instrument.market,
    CHANGEHOUR: change('HOUR'),
    CHANGEPCTHOUR: percent('HOUR'),
    CHANGEDAY: change('DAY'),
    CHANGEPCTDAY: percent('DAY'),
    CHANGE24HOUR: change('24HOUR'),
    CHANGEPCT24HOUR: percent('24HOUR'),
    CONVERSIONTYPE: 'direct',
    CONVERSIONSYMBOL: '',
    SUPPLY: supply,
    MKTCAP: supply * number('PRICE'),
    MKTCAPPENALTY: 0,
    CIRCULATINGSUPPLY: supply,
    CIRCULATINGSUPPLYMKTCAP: supply * number('PRICE'),
    TOTALVOLUME24H: number('VOLUME24HOUR'),
    TOTALVOLUME24HTO: number('VOLUME24HOURTO'),
    TOTALTOPTIERVOLUME24H: number('VOLUME24HOUR'),
    TOTALTOPTIERVOLUME24HTO: number('VOLUME24HOURTO'),
    IMAGEURL: `/media/37746251/${instrument.base.toLowerCase()}.png`,
  }
}

/** The same fields as texts for people. */
export function display(instrument: Instrument, clock: WalkClock): Record<string, string> {
  const sign = ASSETS[instrument.quote]?.sign ?? instrument.quote
  const ownSign = ASSETS[instrument.base]?.sign ?? instrument.base
  const shown: Record<string, string> = {}
  for (const [name, value] of Object.entries(raw(instrument, clock))) {
    if (NAMES.has(name)) continue
    if (typeof value === 'string') shown[name] = value
    else if (name.startsWith('CHANGEPCT')) shown[name] = value.toFixed(2)
    else
      shown[name] =
        `${OWN.has(name) ? ownSign : sign} ${value.toLocaleString('en-US', { maximumSignificantDigits: 6 })}`
  }
  return shown
}

const NAMES = new Set(['TYPE', 'MARKET', 'FLAGS', 'LASTUPDATE'])

/** Amounts in the base. */
const OWN = new Set([
  'LASTVOLUME',
  'VOLUMEHOUR',
  'VOLUMEDAY',
  'VOLUME24HOUR',
  'TOPTIERVOLUME24HOUR',
  'TOTALVOLUME24H',
  'TOTALTOPTIERVOLUME24H',
  'SUPPLY',
  'CIRCULATINGSUPPLY',
  'CURRENTSUPPLY',
  'MAXSUPPLY',
])
