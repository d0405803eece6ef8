import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { orAfter } from '../async/deadline.ts'
import type { RowChannel } from '../domain/stored-rows.ts'
import type { Store } from '../ports/store.ts'
import { errorOf, problemOf } from './problem.ts'
import { type RowSelection, readPage } from './row-pages.ts'
import { LINE_FORMATS, type LineFormatName } from './row-text.ts'

/** Rows that are in memory at a time, and those that are made text without a break. */
const PAGE_ROWS = 5_000
const SLICE_ROWS = 1_000

/** What one page may take. */
const PAGE_MS = 15_000

/** A client that takes nothing for so long is cut off. */
const STALLED_MS = 60_000

interface RowStreamOptions {
  readonly store: Store
  readonly format: LineFormatName
  readonly cursor: string | undefined
  /** Left out: all rows that match. */
  readonly limit: number | undefined
  /** Looks between pages whether it may go on. Raises why not. */
  readonly goOn: () => void
}

/**
 * All rows that match, as lines, read page by page at the pace of the client. What is refused, or cannot be read at all, is raised before
 * anything is sent. A failure later is the last line of NDJSON, with the cursor to go on from; CSV has no place for it, so the connection breaks.
 */
export async function openRowStream<C extends RowChannel>(
  response: ServerResponse,
  selection: RowSelection<C>,
  options: RowStreamOptions,
): Promise<Readable> {
  const { store, limit = Number.POSITIVE_INFINITY } = options
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const pageAt = (cursor: string | undefined, left: number) =>
    readPage(store, selection, { cursor, limit: Math.min(left, PAGE_ROWS) }, orAfter(gone.signal, PAGE_MS))
  const first = await pageAt(options.cursor, limit)
  response.setTimeout(STALLED_MS, () => response.destroy())

  async function* lines(): AsyncGenerator<string> {
    const format = LINE_FORMATS[options.format]
    const head = format.head(selection.channel)
    if (head !== '') yield head
    let [page, left] = [first, limit]
    for (;;) {
      for (let at = 0; at < page.rows.length; at += SLICE_ROWS) {
        yield format.lines(selection.channel, page.rows.slice(at, at + SLICE_ROWS))
        await new Promise((resolve) => setImmediate(resolve))
      }
      left -= page.rows.length
      const { next } = page
      if (next === undefined || left === 0) return
      try {
        options.goOn()
        page = await pageAt(next, left)
      } catch (thrown) {
        if (options.format !== 'ndjson') throw thrown
        yield `${JSON.stringify({ error: problemOf(errorOf(thrown)), next })}\n`
        return
      }
    }
  }
  return Readable.from(lines(), { highWaterMark: 1 })
}
