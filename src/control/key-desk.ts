import { TapelineError } from '../errors.ts'
import type { IssuedKey, KeyDesk } from '../ports/keys.ts'
import { askCoordinator } from './ask.ts'
import type { ControlBus } from './bus.ts'
import { CONTROL_VERSION } from './record-format.ts'
import type { Registry } from './registry.ts'
import type { KeyRecord } from './registry-records.ts'

interface DeskParts {
  readonly instance: string
  readonly bus: ControlBus
  readonly registry: Registry
  readonly newId: () => string
}

/** The keys of all applications, as the registry has them. */
export function createKeyDesk(parts: DeskParts): KeyDesk {
  const { instance, registry, newId } = parts
  const { view } = registry
  const author = { v: CONTROL_VERSION, instance } as const

  return {
    async create({ id: keyId, digest, app, scopes, quotas }, signal) {
      const kind = 'CREATE_KEY_REQUEST'
      await askCoordinator(
        parts,
        { ...author, kind, requestId: newId(), keyId, digest, app, scopes: [...scopes], quotas },
        signal,
      )
      const record = view.keys.get(keyId)
      if (record === undefined)
        throw new TapelineError('CONTROL_UNAVAILABLE', `the key ${keyId} is not in the registry`)
      return keyOf(record)
    },
    revoke: (keyId, signal) =>
      askCoordinator(parts, { ...author, kind: 'REVOKE_KEY_REQUEST', requestId: newId(), keyId }, signal),
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
