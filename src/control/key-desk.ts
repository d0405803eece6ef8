import { TapelineError } from '../errors.ts'
import type { IssuedKey, KeyDesk } from '../ports/keys.ts'
import { ask } from './ask.ts'
import type { ControlBus } from './bus.ts'
import { CONTROL_VERSION, type ControlRecordOf, type KeyRecord } from './records.ts'
import type { Registry } from './registry.ts'

const REPLY_WAIT_MS = 10_000

interface DeskParts {
  readonly instance: string
  readonly bus: ControlBus
  readonly registry: Registry
  readonly newId: () => string
}

/** The keys of all applications, as the registry has them. */
export function createKeyDesk({ instance, bus, registry, newId }: DeskParts): KeyDesk {
  const { view } = registry
  const author = { v: CONTROL_VERSION, instance } as const

  const askCoordinator = (
    request: ControlRecordOf<'CREATE_KEY_REQUEST' | 'REVOKE_KEY_REQUEST'>,
    signal: AbortSignal,
  ): Promise<void> =>
    ask(
      bus,
      request,
      {
        waitMs: REPLY_WAIT_MS,
        whom: 'a coordinator',
        settle: ({ registryOffset }, deadline) => registry.reached(registryOffset, deadline),
      },
      signal,
    )

  return {
    async create({ id: keyId, digest, app, scopes, quotas }, signal) {
      const kind = 'CREATE_KEY_REQUEST'
      await askCoordinator(
        { ...author, kind, requestId: newId(), keyId, digest, app, scopes: [...scopes], quotas },
        signal,
      )
      const record = view.keys.get(keyId)
      if (record === undefined)
        throw new TapelineError('CONTROL_UNAVAILABLE', `the key ${keyId} is not in the registry`)
      return keyOf(record)
    },
    revoke: (keyId, signal) =>
      askCoordinator({ ...author, kind: 'REVOKE_KEY_REQUEST', requestId: newId(), keyId }, signal),
    list: () => [...view.keys.values()].map(keyOf).toSorted((a, b) => a.createdAt - b.createdAt),
    find: (digest) => {
      const record = view.keys.ofDigest(digest)
      return record && keyOf(record)
    },
    get: (id) => {
      const record = view.keys.get(id)
      return record && keyOf(record)
    },
  }
}

function keyOf({ id, digest, app, scopes, quotas, createdAt, revokedAt }: KeyRecord): IssuedKey {
  return { id, digest, app, scopes, quotas, createdAt, revokedAt }
}
