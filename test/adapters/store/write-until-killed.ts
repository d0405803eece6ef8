import { writeSync } from 'node:fs'
import { openEmbeddedStore } from '../../../src/adapters/store/embedded.ts'
import type { Claim, PartitionWrite } from '../../../src/ports/store.ts'
import { MIDNIGHT, quote, segment, trade, writeOf } from '../../contract/store-fixtures.ts'
import { quietLog } from '../../quiet.ts'

// Writes two partitions until it is killed, and prints what was acknowledged: a line "partition nextOffset" each.
// The offset of a record is the id of its trade and the last price of its quote.

const [folder = ''] = process.argv.slice(2)
const forever = new AbortController().signal
const store = await openEmbeddedStore({ folder, log: quietLog })
await store.migrate(forever)
let claims = await store.claim(
  [0, 1].map((partition) => ({ topic: 'fixed', topicId: 'fixed', partition })),
  forever,
)

function nextWrite(claim: Claim): PartitionWrite {
  const count = 1 + Math.floor(Math.random() * 2000)
  const offsets = Array.from({ length: count }, (_, i) => claim.nextOffset + i)
  const market = { exchange: 'coinbase', symbol: `P${claim.partition}` }
  const trades = offsets.map((offset) => trade({ ...market, id: String(offset), ts: MIDNIGHT + offset }))
  const quotes = offsets.map((offset) => quote({ ...market, last: offset }))
  const again = trades.slice(0, 3)
  return writeOf(
    claim,
    count,
    segment('trade', trades),
    segment('trade', again, true),
    segment('quote', quotes),
  )
}

for (;;) {
  claims = await store.write(claims.map(nextWrite), forever)
  writeSync(1, claims.map(({ partition, nextOffset }) => `${partition} ${nextOffset}\n`).join(''))
}
