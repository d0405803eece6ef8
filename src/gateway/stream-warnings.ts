import type { StreamWarning } from '../domain/offer.ts'
import type { StreamDesk } from '../ports/streams.ts'

/** Why a stream may be silent; nothing where all that it asks for is given. */
export function warningsOf(
  desk: StreamDesk,
  stream: string,
  further: readonly StreamWarning[] = [],
): { readonly warnings?: readonly StreamWarning[] } {
  const lease = desk.get(stream)
  const warnings = [...(lease === undefined ? [] : desk.warnings(lease.spec)), ...further]
  return warnings.length > 0 ? { warnings } : {}
}
