import type { ControlRecordOf } from '../../control/control-records.ts'
import type { RegistryView } from '../../control/registry-view.ts'
import { TapelineError } from '../../errors.ts'
import { applyRequests, bodyOf } from './apply-requests.ts'
import type { RegistryBody } from './leader.ts'

export type KeyRequest = ControlRecordOf<'CREATE_KEY_REQUEST' | 'REVOKE_KEY_REQUEST'>

type Body = RegistryBody & { readonly kind: 'key' }

/** The registry and every gateway hold all keys, revoked ones too. */
const MOST_KEYS = 10_000

interface KeyChanges {
  readonly records: readonly Body[]
  /** By the id of the request. */
  readonly failures: ReadonlyMap<string, TapelineError>
}

/** What requests for keys come to, one after the other. Asking again for what is there changes nothing. */
export function changeKeys(requests: readonly KeyRequest[], view: RegistryView, now: number): KeyChanges {
  const apply = (request: KeyRequest, changed: ReadonlyMap<string, Body>): Body | undefined => {
    const record = view.keys.get(request.keyId)
    const known = changed.get(request.keyId) ?? (record && bodyOf(record))
    if (request.kind === 'REVOKE_KEY_REQUEST') {
      if (known === undefined) throw new TapelineError('KEY_UNKNOWN', `there is no key ${request.keyId}`)
      return known.revokedAt === null ? { ...known, revokedAt: now } : undefined
    }
    if (known !== undefined) return undefined
    if (view.keys.size + changed.size >= MOST_KEYS)
      throw new TapelineError('KEY_LIMIT', `the registry has ${MOST_KEYS} keys, which is the most`)
    const { keyId: id, digest, app, scopes, quotas } = request
    return { kind: 'key', id, digest, app, scopes, quotas, createdAt: now, revokedAt: null }
  }
  const { changed, failures } = applyRequests(requests, apply)
  return { records: [...changed.values()], failures }
}
