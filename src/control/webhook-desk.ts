import { withDeadline } from '../async/deadline.ts'
import { TapelineError } from '../errors.ts'
import type { Broker } from '../ports/broker.ts'
import type { Webhook, WebhookDesk } from '../ports/webhooks.ts'
import { askCoordinator } from './ask.ts'
import type { ControlBus } from './bus.ts'
import { EndpointIndex } from './endpoint-index.ts'
import { type EndpointRecord, endpointKey } from './endpoint-records.ts'
import type { PlatformNames } from './names.ts'
import { CONTROL_VERSION } from './record-format.ts'
import type { Registry } from './registry.ts'
import type { WebhookRecord } from './registry-records.ts'

const REGISTRY_WAIT_MS = 2_000

interface DeskParts {
  readonly instance: string
  readonly broker: Broker
  readonly names: PlatformNames
  readonly bus: ControlBus
  readonly registry: Registry
  readonly newId: () => string
}

/** The webhooks of all applications, as this process sees them: what was asked for in the registry, how they fare in `tapeline.endpoints`. */
export function createWebhookDesk(parts: DeskParts): WebhookDesk {
  const { instance, broker, names, registry, newId } = parts
  const { view } = registry
  const author = { v: CONTROL_VERSION, instance } as const
  const index = new EndpointIndex(broker, names.endpoints)

  const shown = (record: WebhookRecord): Webhook => {
    const state = index.get(endpointKey(record.id))
    return webhookOf(record, state?.kind === 'endpoint' ? state : undefined)
  }

  return {
    async create(webhookId, request, signal) {
      const kind = 'CREATE_WEBHOOK_REQUEST'
      await askCoordinator(parts, { ...author, kind, requestId: newId(), webhookId, ...request }, signal)
      const record = view.webhook(webhookId)
      if (record === undefined)
        throw new TapelineError('WEBHOOK_UNKNOWN', `the webhook ${webhookId} ended before it was used`)
      return webhookOf(record, undefined)
    },
    async change(webhookId, app, change, signal) {
      const kind = 'CHANGE_WEBHOOK_REQUEST'
      await askCoordinator(parts, { ...author, kind, requestId: newId(), webhookId, app, change }, signal)
    },
    async list(app, signal) {
      await index.refresh(signal)
      return [...view.webhooks()].filter((each) => app === undefined || each.app === app).map(shown)
    },
    ownerOf: (id) => view.webhook(id)?.app,
    async find(id, signal) {
      if (view.webhook(id) === undefined)
        await withDeadline(signal, REGISTRY_WAIT_MS, (deadline) => registry.catchUp(deadline)).catch(
          (error: unknown) => {
            signal.throwIfAborted()
            throw new TapelineError('CONTROL_UNAVAILABLE', 'the registry cannot be read', { cause: error })
          },
        )
      const record = view.webhook(id)
      if (record === undefined) return undefined
      await index.refresh(signal)
      return shown(record)
    },
  }
}

type Endpoint = EndpointRecord & { readonly kind: 'endpoint' }

function webhookOf(record: WebhookRecord, stored: Endpoint | undefined): Webhook {
  const { id, app, leaseId, url, maxEvents, maxWaitMs, createdAt } = record
  const state = stateOf(record, stored)
  return {
    ...{ id, app, leaseId, url, maxEvents, maxWaitMs, createdAt, state },
    failure: failureOf(record, stored),
    deliveredAt: stored?.deliveredAt ?? null,
  }
}

function stateOf({ paused, revision }: WebhookRecord, stored: Endpoint | undefined): Webhook['state'] {
  const stopped = stored?.stopped?.revision === revision ? stored.stopped : undefined
  if (stopped?.reason === 'ended') return 'ended'
  if (paused || stopped !== undefined) return 'paused'
  return stored?.failure ? 'failing' : 'active'
}

function failureOf({ paused, revision }: WebhookRecord, stored: Endpoint | undefined): Webhook['failure'] {
  const stopped = stored?.stopped
  if (stopped && stopped.revision === revision) {
    if (stopped.reason === 'ended') return null
    const { code, message, at } = stopped
    return { code, message, since: stored.failure?.since ?? at, attempts: stored.failure?.attempts ?? 1 }
  }
  if (paused || !stored?.failure) return null
  const { code, message, since, attempts } = stored.failure
  return { code, message, since, attempts }
}
