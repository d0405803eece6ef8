import type { FeedProtocol } from '../../src/adapters/source/feed/feed-protocol.ts'
import { Refusals } from '../../src/adapters/source/feed/refusals.ts'
import {
  type FeedChannel,
  type SourceKind,
  USUAL,
  USUAL_BOOK_DEPTH,
} from '../../src/adapters/source/feed/source-kind.ts'
import { Tally } from '../../src/adapters/source/feed/tally.ts'
import { SOURCES } from '../../src/adapters/source/index.ts'
import type { SourceItem } from '../../src/ports/source.ts'
import { quietLog } from '../../test/quiet.ts'
import { marketsOf } from './frames.ts'

/** The reader of an exchange on an open connection, without the connection, which asks for one channel of all markets. */
export async function openProtocol(
  name: keyof typeof SOURCES,
  channel: FeedChannel,
  { emit, now }: { readonly emit: (item: SourceItem) => boolean; readonly now: () => number },
): Promise<FeedProtocol> {
  const kind: SourceKind = SOURCES[name]
  const ways = await kind.load()
  const outlet = {
    ...{ emit, note: emit, polled: emit, send: () => undefined, complain: () => undefined, now },
    refusals: new Refusals({ source: name, note: emit, now }),
    tally: new Tally(quietLog, (text) => text),
    maxSkewMs: USUAL.maxSkew,
  }
  const { protocol } = ways({
    ...{ outlet, channels: [channel], rest: undefined, log: quietLog, redact: (text) => text },
    ...{ timeoutMs: USUAL.timeout, pollEveryMs: USUAL.pollEvery },
    books: { depth: USUAL_BOOK_DEPTH, snapshotEveryMs: USUAL.bookSnapshotEvery },
  })
  protocol.add(marketsOf(name))
  protocol.opened()
  return protocol
}

/** Ends what `openProtocol` began. */
export function closeProtocol(protocol: FeedProtocol): void {
  protocol.closed?.()
  protocol.stop?.()
}
