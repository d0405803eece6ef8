import { testCandles } from './candle-histories.ts'

testCandles({ histories: 10, events: 12, days: 5, moments: 40 })
