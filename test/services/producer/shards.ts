import { CHANNELS, type Channel, marketKey } from '../../../src/domain/events.ts'
import type { TradeWindow } from '../../../src/domain/trade-window.ts'
import type { Checkpoint, FixedLog } from '../../../src/services/producer/checkpoint.ts'
import { type LostLog, Shard } from '../../../src/services/producer/shard.ts'
import type { PublishedRecord } from '../../../src/services/producer/tail.ts'

interface ShardOptions {
  readonly k?: number
  readonly epoch?: number
  readonly checkpoint?: Partial<Checkpoint>
  readonly windows?: Map<string, TradeWindow>
  readonly lost?: ReadonlyMap<Channel, LostLog>
  /** Of every fixed topic. */
  readonly log?: Partial<FixedLog>
}

function ofEachChannel<T>(value: T): Record<Channel, T> {
  return Object.fromEntries(CHANNELS.map((channel) => [channel, value])) as Record<Channel, T>
}

/** A shard that was taken over with a checkpoint, without a broker. Its marker lies in front of everything. */
export function ownedShard({ k = 0, epoch = 1, checkpoint, windows, lost, log }: ShardOptions = {}): Shard {
  const writer = { commit: async () => [], close: async () => {} }
  const restored = { v: 1, at: 0, registryOffset: 0, positions: {}, epochs: {}, behind: {}, ...checkpoint }
  return new Shard(
    k,
    { writer, epoch },
    restored as Checkpoint,
    ofEachChannel(-1),
    windows ?? new Map(),
    ofEachChannel({ id: 'id', since: 0, ...log }),
    lost,
  )
}

/** A record of a fixed topic. */
export function published(offset: number, symbol: string): PublishedRecord {
  const trade = { id: String(offset), side: 'buy', price: 100, size: offset, ts: 1, recvTs: 1 } as const
  const event = { exchange: 'kraken', symbol, ...trade }
  return { offset, market: marketKey(event), event, value: Buffer.from(`${symbol} ${offset}`) }
}
