import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { openTimescaleStore } from '../../../src/adapters/store/timescale.ts'
import { toTapelineError } from '../../../src/errors.ts'
import { claimOne, segment, trade, writeOf } from '../../contract/store-fixtures.ts'
import { settingsFor } from './timescale-server.ts'

// Claims a partition, begins to write it, and stops itself (SIGSTOP) when the statements are on their way and the rows are not.
// Once it goes on it prints the code that the write failed with, or "written".

const [url = '', symbol = '', topic = ''] = process.argv.slice(2)
const FRAME = 64 * 1024
const forever = new AbortController().signal

const send = Socket.prototype.write
let isStopped = false
Reflect.set(Socket.prototype, 'write', function write(this: Socket, ...args: Parameters<typeof send>) {
  if (!isStopped && args[0] instanceof Uint8Array && args[0].length >= FRAME) {
    isStopped = true
    this.uncork()
    process.kill(process.pid, 'SIGSTOP')
  }
  return Reflect.apply(send, this, args)
})

const store = await openTimescaleStore(settingsFor(url), forever)
const claim = await claimOne(store, topic)
const rows = Array.from({ length: 5_000 }, (_, i) => trade({ symbol, id: `zombie-${i}` }))
try {
  await store.write([writeOf(claim, 1, segment('trade', rows))], forever)
  writeSync(1, 'written\n')
} catch (error) {
  writeSync(1, `${toTapelineError(error).code}\n`)
}
await store.close()
