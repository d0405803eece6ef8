import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { openEmbeddedStore } from '../../src/adapters/store/embedded.ts'
import { command } from '../../src/cli/export.ts'
import { isoMicros } from '../../src/domain/time.ts'
import { segment, store as storeRows, trade } from '../contract/store-fixtures.ts'
import { quietLog } from '../quiet.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { recordingTerminal } from './recording-terminal.ts'

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapeline-export-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Values that a careless way from a double to text and back would change. */
const PRICES = [0.1 + 0.2, 1e-9, 123456789.12345678, 5e-324, 1.7976931348623157e308, 90071992547409.94]

const START = 1_767_225_600_000_000

/** A trade with such values as an answer has it. */
const ODD = PRICES.map((price, i) => ({
  ...row(i),
  id: i === 3 ? 'a,"b"\nc' : String(i),
  price,
  size: price / 3,
  ts: isoMicros(START + i),
  recvTs: isoMicros(START + i + 7),
}))

async function run(flags: Readonly<Record<string, string | boolean>>, terminal = recordingTerminal()) {
  return { code: await command.run({ symbol: 'BTC-USD', ...flags }, [], terminal), noted: terminal.noted }
}

describe('tapeline export', () => {
  test('a data folder gives the rows of its store, to the last digit', async (t) => {
    const data = temporaryFolder(t)
    await copyStoreTemplate(join(data, 'store'))
    const store = await openEmbeddedStore({ folder: join(data, 'store'), log: quietLog })
    const trades = ODD.map((each, i) => ({ ...trade(each as object), ts: START + i, recvTs: START + i + 7 }))
    await storeRows(store, segment('trade', trades)).finally(() => store.close())
    const out = join(data, 'rows.ndjson')
    const { code, noted } = await run({ data, out })
    assert.equal(code, 0)
    assert.equal(noted.at(-1), `6 rows in ${out}`)
    const all = join(data, 'all.ndjson')
    await run({ data, symbol: 'btc*,NONE-USD', from: '2026-01-01', out: all })
    assert.deepEqual(linesOf(all), linesOf(out))
    assert.deepEqual(
      linesOf(out).map((line) => JSON.parse(line)),
      ODD,
    )
  })

  test('CSV and Parquet hold the same values', async (t) => {
    const folder = temporaryFolder(t)
    const api = await serve(t, () => ({ trades: ODD, next: null }))
    const [csv, parquet] = [join(folder, 'rows.csv'), join(folder, 'rows.parquet')]
    await run({ api, out: csv })
    const text = readFileSync(csv, 'utf8')
    assert.ok(
      text.startsWith(
        'exchange,symbol,id,side,price,size,ts,recvTs\ncoinbase,BTC-USD,0,buy,0.30000000000000004,',
      ),
    )
    assert.ok(text.includes('"a,""b""\nc"'), text)
    assert.deepEqual(
      [...text.matchAll(/,buy,([^,]+),/g)].map(([, price]) => Number(price)),
      PRICES,
    )
    await run({ api, out: parquet })
    const table = await parquetReadObjects({
      file: await asyncBufferFromFile(parquet),
      parsers: microseconds,
    })
    assert.deepEqual(
      table,
      ODD.map((each, i) => ({ ...each, ts: BigInt(START + i), recvTs: BigInt(START + i + 7) })),
    )
  })

  test('what is absent of a quote is empty in CSV and null in Parquet; a day without rows makes a file all the same', async (t) => {
    const folder = temporaryFolder(t)
    const [csv, parquet] = [join(folder, 'quotes.csv'), join(folder, 'quotes.parquet')]
    const [ts, recvTs] = [isoMicros(START), isoMicros(START + 1)]
    const none = {
      exchange: 'x',
      symbol: 'Y',
      bid: null,
      bidSize: null,
      ask: null,
      askSize: null,
      last: null,
    }
    const quotes = [
      { ...none, bid: 0.1, volume24h: null, ts, recvTs },
      { ...none, ask: 2, volume24h: 7, ts, recvTs },
    ]
    const api = await serve(t, (query) => ({ quotes: query.has('from') ? [] : quotes, next: null }))
    await run({ api, channel: 'quote', out: csv })
    assert.deepEqual(linesOf(csv).slice(1), [`x,Y,0.1,,,,,,${ts},${recvTs}`, `x,Y,,,2,,,7,${ts},${recvTs}`])
    const read = async () => parquetReadObjects({ file: await asyncBufferFromFile(parquet) })
    await run({ api, channel: 'quote', out: parquet })
    assert.deepEqual(
      (await read()).map(({ bid, ask, last, volume24h }) => [bid, ask, last, volume24h]),
      [
        [0.1, null, null, null],
        [null, 2, null, 7],
      ],
    )
    for (const out of [csv, parquet]) await run({ api, channel: 'quote', from: '1d', out, force: true })
    assert.deepEqual(await read(), [])
    assert.deepEqual(linesOf(csv).length, 1)
  })

  test('over the API it goes page by page, and waits for a platform that is away for a moment', async (t) => {
    const folder = temporaryFolder(t)
    const out = join(folder, 'rows.csv')
    const asked: URLSearchParams[] = []
    const api = await serve(t, (query, attempt) => {
      asked.push(query)
      if (attempt === 1) return undefined
      const page = Number(query.get('cursor') ?? 0)
      return { trades: [row(2 * page), row(2 * page + 1)], next: page === 3 ? null : String(page + 1) }
    })
    const { noted } = await run({ api, out, from: '2026-01-01', to: '1767225600', exchange: 'Coinbase' })
    assert.deepEqual(
      linesOf(out)
        .slice(1)
        .map((line) => line.split(',')[2]),
      ['0', '1', '2', '3', '4', '5', '6', '7'],
    )
    assert.deepEqual(Object.fromEntries(asked[0] ?? []), {
      symbol: 'BTC-USD',
      exchange: 'coinbase',
      from: '2026-01-01T00:00:00.000000Z',
      to: '2026-01-01T00:00:00.000000Z',
      order: 'asc',
      limit: '10000',
    })
    assert.match(noted.join('\n'), /STORE_UNAVAILABLE.*waiting[\s\S]*back[\s\S]*8 rows/)
  })

  test('a file appears once it is whole: nothing stays of an export that fails or is interrupted', async (t) => {
    const folder = temporaryFolder(t)
    const out = join(folder, 'rows.ndjson')
    const refusing = await serve(t, (_, attempt) =>
      attempt === 0 ? { trades: [row(0)], next: '1' } : { trades: [{ nonsense: true }], next: null },
    )
    await assert.rejects(run({ api: refusing, out }), { code: 'INTERNAL' })
    assert.deepEqual(readdirSync(folder), [])

    const terminal = recordingTerminal()
    const endless = await serve(t, (_, attempt) => {
      if (attempt === 3) terminal.interrupt()
      return { trades: [row(attempt)], next: 'on' }
    })
    await assert.rejects(run({ api: endless, out }, terminal), { name: 'AbortError' })
    assert.deepEqual(readdirSync(folder), [])
  })

  test('a file that is there is not replaced unless it is said', async (t) => {
    const folder = temporaryFolder(t)
    const out = join(folder, 'rows.ndjson')
    const api = await serve(t, () => ({ trades: [row(0)], next: null }))
    writeFileSync(out, 'mine')
    await assert.rejects(run({ api, out }), { code: 'USAGE', remedy: /--force/ })
    assert.equal(readFileSync(out, 'utf8'), 'mine')
    await run({ api, out, force: true })
    assert.ok(statSync(out).size > 100)
    await assert.rejects(run({ api, out: folder, force: true }), { code: 'USAGE', message: /is no file/ })
    await assert.rejects(run({ api, out: join(folder, 'none', 'rows.csv') }), { code: 'FILE_UNWRITABLE' })
    assert.ok(!existsSync(join(folder, 'none')))
  })

  test('several symbols and globs are one file, symbol after symbol', async (t) => {
    const out = join(temporaryFolder(t), 'rows.csv')
    const stored = ['BTC-EUR', 'BTC-USD', 'ETH-USD', 'XRP-USD']
    const api = await serve(t, (query, _, path) => {
      if (path === '/v1/sql') return { columns: ['symbol'], rows: stored.map((symbol) => ({ symbol })) }
      const symbol = query.get('symbol') ?? ''
      const next = query.has('cursor') ? null : 'on'
      return { trades: [{ ...row(next === null ? 2 : 1), symbol }], next }
    })
    const exported = async (symbol: string): Promise<string[]> => {
      await run({ api, symbol, out, force: true })
      return linesOf(out)
        .slice(1)
        .map((line) => line.split(',').slice(1, 3).join(' '))
    }
    assert.deepEqual(await exported('eth-usd,NEW-USD'), [
      ...['ETH-USD 1', 'ETH-USD 2', 'NEW-USD 1', 'NEW-USD 2'],
    ])
    assert.deepEqual(await exported('*-EUR,ETH-*,BTC-EUR'), [
      ...['BTC-EUR 1', 'BTC-EUR 2', 'ETH-USD 1', 'ETH-USD 2'],
    ])
    await assert.rejects(run({ api, symbol: 'DOGE*', out, force: true }), {
      code: 'USAGE',
      message: /DOGE\*: no symbol/,
    })
  })

  for (const format of ['csv', 'ndjson', 'parquet']) {
    test(`--resume goes on where an export in ${format} was interrupted`, async (t) => {
      const folder = temporaryFolder(t)
      const [out, whole] = [join(folder, `rows.${format}`), join(folder, `whole.${format}`)]
      let terminal = recordingTerminal()
      let stopAt = 4
      const asked: string[] = []
      const api = await serve(t, (query) => {
        const [symbol, page] = [query.get('symbol') ?? '', Number(query.get('cursor') ?? 0)]
        asked.push(`${symbol} ${page}`)
        if (asked.length === stopAt) terminal.interrupt()
        return { trades: [{ ...row(page), symbol }], next: page === 2 ? null : String(page + 1) }
      })
      const flags = { api, symbol: 'A-USD,B-USD', from: '3000d' }
      await run({ ...flags, out: whole })
      asked.length = 0
      for (;;) {
        terminal = recordingTerminal()
        const ended = await run({ ...flags, out, resume: true }, terminal).catch((error: Error) => error)
        if (!(ended instanceof Error)) break
        assert.equal(ended.name, 'AbortError')
        assert.match(terminal.noted.at(-1) ?? '', /rows are kept/)
        // As a process leaves it that is killed in the middle of a page.
        appendFileSync(`${out}.part`, 'half a row')
        await assert.rejects(run({ ...flags, symbol: 'A-USD', out, resume: true }), {
          code: 'USAGE',
          message: /other flags: --symbol A-USD,B-USD/,
        })
        stopAt = asked.length + 2
        if (stopAt > 8) stopAt = 0
      }
      assert.match(terminal.noted.join(), /going on after \d rows/)
      const pages = ['A-USD 0', 'A-USD 1', 'A-USD 2', 'B-USD 0', 'B-USD 1', 'B-USD 2']
      assert.deepEqual([...new Set(asked)], pages)
      assert.ok(asked.length < 12, 'what is kept is not asked for again')
      assert.deepEqual(readFileSync(out), readFileSync(whole))
      assert.deepEqual(readdirSync(folder).toSorted(), [`rows.${format}`, `whole.${format}`])
    })
  }

  test('wrong usage is told before anything is asked for', async () => {
    const wrong: readonly (readonly [flags: Readonly<Record<string, string | boolean>>, message: RegExp])[] =
      [
        [{ symbol: 'BTC USD' }, /--symbol "BTC USD" is not a symbol or a glob/],
        [{ symbol: 'BTC-USD,' }, /--symbol "" is not/],
        [{ resume: true }, /--resume needs --out/],
        [{ exchange: 'no exchange' }, /--exchange/],
        [{ from: 'yesterday' }, /--from takes a time such as/],
        [{ from: '12345' }, /--from takes/],
        [{ from: '2026-01-02', to: '2026-01-01' }, /--from lies after --to/],
        [{ channel: 'book' }, /--channel takes trade or quote or candle/],
        [{ interval: '1h' }, /go with --channel candle/],
        [{ format: 'xml' }, /--format takes csv or ndjson or parquet/],
        [{ format: 'parquet' }, /needs --out/],
      ]
    for (const [flags, message] of wrong)
      await assert.rejects(run({ api: 'http://127.0.0.1:1', ...flags }), { code: 'USAGE', message })
    await assert.rejects(run({ api: 'http://127.0.0.1:1' }), { code: 'NOT_RUNNING' })
  })
})

const microseconds = {
  timestampFromMicroseconds: (micros: bigint) => micros,
  timestampFromMilliseconds: (millis: bigint) => millis,
  timestampFromNanoseconds: (nanos: bigint) => nanos,
  dateFromDays: (days: number) => days,
  stringFromBytes: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
  geometryFromBytes: (bytes: Uint8Array) => bytes,
  geographyFromBytes: (bytes: Uint8Array) => bytes,
}

function linesOf(path: string): string[] {
  return readFileSync(path, 'utf8').trimEnd().split('\n')
}

function row(id: number): Record<string, unknown> {
  const ts = '2026-01-01T00:00:00.000000Z'
  return {
    exchange: 'coinbase',
    symbol: 'BTC-USD',
    id: String(id),
    side: 'buy',
    price: 1,
    size: 1,
    ts,
    recvTs: ts,
  }
}

/** What answers like a platform; undefined: its database is away. */
async function serve(
  t: TestContext,
  answer: (query: URLSearchParams, attempt: number, path: string) => object | undefined,
): Promise<string> {
  let attempt = 0
  const server = createServer((request, response) => {
    const { searchParams, pathname } = new URL(request.url ?? '', 'http://x')
    const body = answer(searchParams, attempt++, pathname)
    const away = {
      type: '',
      title: '',
      status: 503,
      detail: 'away',
      code: 'STORE_UNAVAILABLE',
      remedy: 'Wait.',
    }
    response.writeHead(body === undefined ? 503 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body ?? away))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
