import type { TestContext } from 'node:test'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { BookReader } from './books.ts'
import { type Opening, openOn } from './opened.ts'
import { type RestAnswer, Service, sendFrame } from './service.ts'
import { pull, until } from './waiting.ts'

interface Setting {
  readonly kind: SourceKind
  readonly symbols: readonly string[]
  readonly depth?: number
  readonly received?: (frame: Record<string, unknown>, send: (frame: unknown) => void) => void
  readonly rest?: (url: URL) => RestAnswer
  readonly opening?: Opening
  /** Called after each record. */
  readonly seen?: (reader: BookReader) => void
}

/** A source of books on a local service, and what a reader has of it. */
export async function openBooks(
  t: TestContext,
  { kind, symbols, depth = 10, received, rest, opening, seen }: Setting,
) {
  const service = await Service.start(t, {
    received: (frame, socket) => received?.(frame, (answer) => sendFrame(socket, answer)),
    ...(rest && { rest }),
  })
  const markets = symbols.map((symbol) => ({ exchange: kind.exchanges?.[0] ?? kind.name, symbol }))
  const { source, log } = await openOn(t, kind, service, {
    ...{ markets, channels: ['book'], bookDepth: depth, ...opening },
  })
  const reader = new BookReader()
  const all: SourceItem[] = []
  const pullUntil = async (what: string, enough: () => boolean): Promise<void> => {
    if (enough()) return
    let taken = 0
    await pull(source, what, (items) => {
      for (const item of items.slice(taken)) {
        all.push(item)
        reader.take([item])
        seen?.(reader)
      }
      taken = items.length
      return enough()
    })
  }
  await until('the source has asked', () => service.received.length > 0)
  return { source, log, service, reader, all, pullUntil }
}
