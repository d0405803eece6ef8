import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { compileProgram, openEngine } from '../../src/adapters/store/embedded/engine.ts'
import { migrate } from '../../src/adapters/store/migrate.ts'

// The baseline of the store: the same engine, the same tables, in a thread of its own, and the usual way to insert many rows
// with one statement. No offsets, no fence.

const port = parentPort
if (port === null) throw new Error('This file runs in a worker thread.')
const HOUR_MS = 3_600_000
const engine = await openEngine(await compileProgram(), join(String(workerData), 'unnest'), true)
await migrate(engine, {
  chunkIntervalMs: HOUR_MS,
  columnstoreAfterMs: 6 * HOUR_MS,
  retentionMs: undefined,
  jobs: 'server',
})

const INSERT = `
  insert into trades (exchange, symbol, id, side, price, size, ts, recv_ts)
  select exchange, symbol, id, side, price, size,
    timestamptz 'epoch' + ts * interval '1 microsecond', timestamptz 'epoch' + recv_ts * interval '1 microsecond'
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::int8[], $8::int8[])
    as rows (exchange, symbol, id, side, price, size, ts, recv_ts)`

// One array literal for each column.
port.on('message', async (columns: readonly string[]) => {
  await engine.rows(INSERT, columns)
  port.postMessage('inserted')
})
port.postMessage('ready')
