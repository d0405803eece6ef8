import type { ControlRecordOf } from '../../control/control-records.ts'
import type { KeyRecord } from '../../control/registry-records.ts'
import type { RegistryView } from '../../control/registry-view.ts'
import { TapelineError } from '../../errors.ts'
import { applyRequests, bodyOf } from './apply-requests.ts'
import type { RegistryBody } from './leader.ts'

export type KeyRequest = ControlRecordOf<'CREATE_KEY_REQUEST' | 'REVOKE_KEY_REQUEST'>

type Body = RegistryBody & { readonly kind: 'key' }

/** The registry and every gateway hold all keys: the good ones, and of the revoked ones the last, so that lists show what became of them. */
const MOST_KEYS = 10_000
const MOST_REVOKED = 1_000

interface KeyChanges {
  readonly records: readonly Body[]
  /** Those that leave the registry. */
  readonly removed: readonly KeyRecord[]
  /** By the id of the request. */
  readonly failures: ReadonlyMap<string, TapelineError>
}

/** What requests for keys come to, one after the other. Asking again for what is there changes nothing. */
export function changeKeys(requests: readonly KeyRequest[], view: RegistryView, now: number): KeyChanges {
  let good = view.keys.good
  const apply = (request: KeyRequest, changed: ReadonlyMap<string, Body>): Body | undefined => {
    const record = view.keys.get(request.keyId)
    const known = changed.get(request.keyId) ?? (record && bodyOf(record))
    if (request.kind === 'REVOKE_KEY_REQUEST') {
      if (known === undefined) throw new TapelineError('KEY_UNKNOWN', `there is no key ${request.keyId}`)
      if (known.revokedAt !== null) return undefined
      good--
      return { ...known, revokedAt: now }
    }
    if (known !== undefined) return undefined
    if (good >= MOST_KEYS)
      throw new TapelineError('KEY_LIMIT', `the registry has ${MOST_KEYS} good keys, which is the most`)
    good++
    const { keyId: id, digest, app, scopes, quotas } = request
    return { kind: 'key', id, digest, app, scopes, quotas, createdAt: now, revokedAt: null }
  }
  const { changed, failures } = applyRequests(requests, apply)
  const revoked = view.keys.size - view.keys.good + [...changed.values()].filter(isRevoked).length
  return { records: [...changed.values()], removed: firstRevoked(view, revoked - MOST_REVOKED), failures }
}

function isRevoked({ revokedAt }: Pick<KeyRecord, 'revokedAt'>): boolean {
  return revokedAt !== null
}

/** So many of those that were revoked first. */
function firstRevoked({ keys }: RegistryView, count: number): readonly KeyRecord[] {
  if (count <= 0) return []
  const revoked = [...keys.values()].filter(isRevoked)
  return revoked.toSorted((a, b) => (a.revokedAt ?? 0) - (b.revokedAt ?? 0)).slice(0, count)
}
