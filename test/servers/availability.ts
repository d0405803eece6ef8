/**
 * Options of a test or suite that needs a server: skipped with the line that says what is missing. Where CI=true nothing
 * may be skipped, so there a missing server is raised.
 */
export function requireServer(missing: string | undefined): { readonly skip: string | false } {
  if (missing === undefined) return { skip: false }
  if (process.env['CI'] === 'true') throw new Error(missing)
  return { skip: missing }
}
