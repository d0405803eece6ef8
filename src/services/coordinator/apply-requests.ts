import { TapelineError } from '../../errors.ts'

interface Applied<Body> {
  /** By the id of what changes. */
  readonly changed: ReadonlyMap<string, Body>
  /** By the id of the request. */
  readonly failures: ReadonlyMap<string, TapelineError>
}

/**
 * Applies requests one after the other: each sees what the ones before have changed. What one comes to is the body of a record, or nothing where all
 * is as it should be. One that fails delays no other.
 */
export function applyRequests<
  Request extends { readonly requestId: string },
  Body extends { readonly id: string },
>(
  requests: readonly Request[],
  apply: (request: Request, changed: ReadonlyMap<string, Body>) => Body | undefined,
): Applied<Body> {
  const changed = new Map<string, Body>()
  const failures = new Map<string, TapelineError>()
  for (const request of requests) {
    try {
      const body = apply(request, changed)
      if (body !== undefined) changed.set(body.id, body)
    } catch (error) {
      if (!(error instanceof TapelineError)) throw error
      failures.set(request.requestId, error)
    }
  }
  return { changed, failures }
}

/** A record without what its author put before the body. */
export function bodyOf<
  Authored extends { readonly v: number; readonly instance: string; readonly epoch: number },
>({
  v: _v,
  instance: _instance,
  epoch: _epoch,
  ...body
}: Authored): Omit<Authored, 'v' | 'instance' | 'epoch'> {
  return body
}
