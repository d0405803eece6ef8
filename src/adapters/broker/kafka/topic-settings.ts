import type { TopicSpec } from '../../../ports/broker.ts'
import { MAX_MESSAGE_BYTES } from './record-sizes.ts'

/** So that retention can remove anything, a segment ends well before it: only whole segments are removed. */
const SEGMENTS_IN_RETENTION = 4
const SHORTEST_SEGMENT_MS = 10_000
const LONGEST_SEGMENT_MS = 86_400_000
const COMPACTED_SEGMENT_MS = 3_600_000
/** Who follows a compacted topic and is not further behind sees each record. */
const COMPACTION_LAG_MS = 60_000
/** By default each segment sets 10 MiB aside for its indexes. */
const SEGMENT_INDEX_BYTES = 1024 * 1024
/**
 * By default an index has an entry for every 4 kB, and the first one of a page costs a fault that takes a millisecond on a busy disk. Thousands of
 * topics that grow alike come to it in one request, which then takes many seconds.
 */
const INDEX_INTERVAL_BYTES = 64 * 1024

/** What the platform reads of the settings of a topic. */
export interface TopicSettings {
  readonly compacted: boolean
  /** Undefined where records are kept for ever, and where the topic is compacted. */
  readonly retentionMs: number | undefined
  /** How many copies must have a record before it is acknowledged. */
  readonly minInsyncReplicas: number
}

export function readSettings(
  settings: readonly { readonly name: string; readonly value?: string | null | undefined }[],
): TopicSettings {
  const values = new Map(settings.map(({ name, value }) => [name, value ?? '']))
  const compacted = (values.get('cleanup.policy') ?? '').split(',').includes('compact')
  const retention = Number(values.get('retention.ms') ?? -1)
  return {
    compacted,
    retentionMs: compacted || retention < 0 ? undefined : retention,
    minInsyncReplicas: Number(values.get('min.insync.replicas') ?? 1),
  }
}

/** The settings that a topic is made with, as Kafka calls them. */
export function settingsOf({
  retentionMs,
  compacted,
}: Omit<TopicSpec, 'name' | 'partitions'>): { name: string; value: string }[] {
  const common = {
    'max.message.bytes': MAX_MESSAGE_BYTES,
    'message.timestamp.type': 'LogAppendTime',
    'segment.index.bytes': SEGMENT_INDEX_BYTES,
    'index.interval.bytes': INDEX_INTERVAL_BYTES,
  }
  const kept = compacted
    ? {
        'cleanup.policy': 'compact',
        'min.cleanable.dirty.ratio': 0.1,
        'min.compaction.lag.ms': COMPACTION_LAG_MS,
        'segment.ms': COMPACTED_SEGMENT_MS,
      }
    : { 'cleanup.policy': 'delete', 'retention.ms': retentionMs ?? -1, 'segment.ms': segmentMs(retentionMs) }
  return Object.entries({ ...common, ...kept }).map(([name, value]) => ({ name, value: String(value) }))
}

function segmentMs(retentionMs: number | undefined): number {
  if (retentionMs === undefined) return LONGEST_SEGMENT_MS
  const share = Math.floor(retentionMs / SEGMENTS_IN_RETENTION)
  return Math.min(LONGEST_SEGMENT_MS, Math.max(SHORTEST_SEGMENT_MS, share))
}
