import { testCandles } from './candle-histories.ts'

// embedded-candles.long.test.ts tries more.
testCandles({ histories: 1, events: 6, days: 2, moments: 5 })
