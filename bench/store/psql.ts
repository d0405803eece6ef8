import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { promisify } from 'node:util'
import type { Config } from '../../src/config.ts'
import { TABLES } from '../../src/domain/rows.ts'
import { isoMicros } from '../../src/domain/time.ts'
import { TapelineError } from '../../src/errors.ts'
import type { Measurement } from '../bench.ts'
import type { TemporaryDatabase } from '../servers/database.ts'
import { makeBatches } from '../trades.ts'

const run = promisify(execFile)

/** Finds out which psql there is. Raises USAGE where there is none. */
export async function psqlVersion(psql: string): Promise<string> {
  try {
    const { stdout } = await run(psql, ['--version'])
    return stdout.trim()
  } catch (error) {
    throw new TapelineError('USAGE', `the baseline needs psql, and ${psql} cannot be run.`, {
      cause: error,
      remedy: "Install Debian's package postgresql-client, or name the program with --psql.",
    })
  }
}

/** Writes the trades as csv, as `\copy ... to ... csv` would. */
export async function writeCsv(path: string, count: number): Promise<void> {
  const file = createWriteStream(path)
  for (const batch of makeBatches(count, 10_000)) {
    const lines = batch.map(
      ({ exchange, symbol, id, side, price, size, ts, recvTs }) =>
        `${exchange},${symbol},${id},${side},${price},${size},${timestamp(ts)},${timestamp(recvTs)}\n`,
    )
    if (!file.write(lines.join(''))) await new Promise<void>((resolve) => file.once('drain', resolve))
  }
  file.end()
  await finished(file)
}

function timestamp(micros: number): string {
  return isoMicros(micros).replace('T', ' ').replace('Z', '+00')
}

const SSL_MODES = { off: 'disable', encrypt: 'require', verify: 'verify-full' } as const

/** Copies a csv file of trades into the database by one statement; the time is psql's own, without its start and the connect. */
export async function copyCsv(
  psql: string,
  { address }: TemporaryDatabase,
  config: Config,
  file: { readonly path: string; readonly records: number },
): Promise<Measurement> {
  const { host, port, user, database } = address
  const { tls, tlsCa } = config.store
  const target = ['-h', host, '-p', String(port), '-U', user, '-d', database]
  const copy = `\\copy trades (${TABLES.trade.columns.join(', ')}) from '${file.path}' csv`
  const { stdout } = await run(
    psql,
    ['-X', '-q', ...target, '-v', 'ON_ERROR_STOP=1', '-c', '\\timing on', '-c', copy],
    {
      env: {
        ...process.env,
        LC_ALL: 'C',
        PGPASSWORD: config.storePassword ?? '',
        PGSSLMODE: SSL_MODES[tls],
        ...(tlsCa !== undefined && { PGSSLROOTCERT: tlsCa }),
      },
    },
  )
  const millis = Number(/^Time: ([\d.]+) ms/m.exec(stdout)?.[1])
  if (!(millis > 0)) throw new Error(`psql did not say how long it took: ${stdout}`)
  return { records: file.records, seconds: millis / 1000, mainCpuMicros: 0 }
}
