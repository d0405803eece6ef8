import { type ControlRecord, type ControlRecordOf, decodeControl } from '../../control/control-records.ts'
import { readEnvelope } from '../../control/record-format.ts'
import type { PartitionFetch } from '../../ports/broker.ts'
import type { KeyRequest } from './key-requests.ts'
import type { MoveRequest } from './moves.ts'
import type { WebhookRequest } from './webhook-requests.ts'

/** What one poll of the control topic brought for a coordinator, by kinds. */
interface GatheredRequests {
  readonly creations: ControlRecordOf<'CREATE_TOPIC_REQUEST'>[]
  readonly moves: MoveRequest[]
  readonly passed: ControlRecordOf<'SEAM_PASSED'>[]
  readonly endings: ControlRecordOf<'END_LEASE_REQUEST'>[]
  readonly webhooks: WebhookRequest[]
  readonly keys: KeyRequest[]
  /** Ids of requests that this process does not understand: their askers wait all the same. */
  readonly unreadable: string[]
  /** The offset to go on from; undefined where the poll brought nothing. */
  next: number | undefined
}

/** Sorts what was read by its kind. What other parts of the platform read is left out. */
export function gatherRequests(fetches: readonly PartitionFetch[]): GatheredRequests {
  const gathered: GatheredRequests = {
    ...{ creations: [], moves: [], passed: [], endings: [], webhooks: [], keys: [], unreadable: [] },
    next: undefined,
  }
  for (const fetch of fetches) {
    if (fetch.kind === 'truncated') gathered.next = fetch.earliest
    // Whoever asked in the batch asks again.
    if (fetch.kind === 'undecodable') gathered.next = fetch.nextOffset
    if (fetch.kind !== 'records') continue
    gathered.next = fetch.nextOffset
    for (const { value } of fetch.records) {
      const record = value && readRequest(value)
      if (record) sort(record, gathered)
    }
  }
  return gathered
}

function sort(record: ReadRequest, gathered: GatheredRequests): void {
  if (record.kind === 'unreadable') gathered.unreadable.push(record.requestId)
  if (record.kind === 'CREATE_TOPIC_REQUEST') gathered.creations.push(record)
  if (record.kind === 'MOVE_LEASE_REQUEST') gathered.moves.push(record)
  if (record.kind === 'SEAM_PASSED') gathered.passed.push(record)
  if (record.kind === 'END_LEASE_REQUEST') gathered.endings.push(record)
  if (record.kind === 'CREATE_WEBHOOK_REQUEST' || record.kind === 'CHANGE_WEBHOOK_REQUEST')
    gathered.webhooks.push(record)
  if (record.kind === 'CREATE_KEY_REQUEST' || record.kind === 'REVOKE_KEY_REQUEST') gathered.keys.push(record)
}

type ReadRequest = ControlRecord | { readonly kind: 'unreadable'; readonly requestId: string }

/** A request, or the id of one that is not understood. The bus handles other records. */
function readRequest(value: Uint8Array): ReadRequest | undefined {
  try {
    return decodeControl(value)
  } catch {
    const { kind, requestId } = readEnvelope(value)
    const isForUs = kind?.endsWith('_REQUEST') && kind !== 'REPLAY_REQUEST'
    return isForUs && requestId !== undefined ? { kind: 'unreadable', requestId } : undefined
  }
}
