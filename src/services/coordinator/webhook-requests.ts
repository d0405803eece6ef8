import type { ControlRecordOf } from '../../control/control-records.ts'
import type { WebhookRecord } from '../../control/registry-records.ts'
import type { RegistryView } from '../../control/registry-view.ts'
import { TapelineError } from '../../errors.ts'
import { applyRequests, bodyOf } from './apply-requests.ts'
import type { RegistryBody } from './leader.ts'

export type WebhookRequest = ControlRecordOf<'CREATE_WEBHOOK_REQUEST' | 'CHANGE_WEBHOOK_REQUEST'>

type Body = RegistryBody & { readonly kind: 'webhook' }

interface WebhookChanges {
  readonly records: readonly RegistryBody[]
  /** Those among them that leave the registry. */
  readonly removed: readonly WebhookRecord[]
  /** By the id of the request. */
  readonly failures: ReadonlyMap<string, TapelineError>
}

const ADMIN = 'admin'

/** What requests come to, one after the other. Asking again for what is there changes nothing. */
export function changeWebhooks(
  requests: readonly WebhookRequest[],
  view: RegistryView,
  { most, now }: { readonly most: number; readonly now: number },
): WebhookChanges {
  type Changed = ReadonlyMap<string, Body>
  const liveBody = (id: string, changed: Changed): Body | undefined => {
    const record = view.webhook(id)
    const known = changed.get(id) ?? (record && bodyOf(record))
    return known?.state === 'live' ? known : undefined
  }
  const countOf = (app: string, changed: Changed): number => {
    const all = new Map([...view.webhooks()].map((each): [string, Body] => [each.id, bodyOf(each)]))
    for (const [id, body] of changed) all.set(id, body)
    return [...all.values()].filter((each) => each.app === app && each.state === 'live').length
  }

  const create = (
    request: WebhookRequest & { kind: 'CREATE_WEBHOOK_REQUEST' },
    changed: Changed,
  ): Body | undefined => {
    const { webhookId: id, app, leaseId } = request
    if (liveBody(id, changed) !== undefined) return undefined
    const lease = view.leaseRecord(leaseId)
    if (lease === undefined || (lease.app !== app && !lease.standing && app !== ADMIN))
      throw new TapelineError('STREAM_UNKNOWN', `no stream ${leaseId} belongs to the application`)
    if (countOf(app, changed) >= most)
      throw new TapelineError('WEBHOOK_LIMIT', `${app} has ${most} webhooks, which is the most`)
    const { url, secret, maxEvents, maxWaitMs, cursor } = request
    return {
      ...{ kind: 'webhook', id, state: 'live', app, leaseId, url, secret, maxEvents, maxWaitMs, cursor },
      ...{ paused: false, revision: 0, createdAt: now },
    }
  }

  const change = (
    request: WebhookRequest & { kind: 'CHANGE_WEBHOOK_REQUEST' },
    changed: Changed,
  ): Body | undefined => {
    const body = liveBody(request.webhookId, changed)
    // It has ended, and only the answer got lost.
    const owner =
      body === undefined && request.change === 'end' ? view.ownerOfEnded(request.webhookId) : undefined
    if (owner !== undefined && (owner === request.app || request.app === ADMIN)) return undefined
    if (body === undefined || (body.app !== request.app && request.app !== ADMIN))
      throw new TapelineError('WEBHOOK_UNKNOWN', `there is no webhook ${request.webhookId}`)
    const revision = body.revision + 1
    return request.change === 'end'
      ? { ...body, revision, state: 'ended' }
      : { ...body, revision, paused: request.change === 'pause' }
  }

  const { changed, failures } = applyRequests<WebhookRequest, Body>(requests, (request, before) =>
    request.kind === 'CREATE_WEBHOOK_REQUEST' ? create(request, before) : change(request, before),
  )
  const records = [...changed.values()]
  const removed = records.filter(({ state }) => state === 'ended').flatMap(({ id }) => view.webhook(id) ?? [])
  return { records, removed, failures }
}
