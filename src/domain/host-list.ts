const AUTHORITY = /^([a-z]+:\/\/(?:[^/]*@)?)([^@/]*,[^@/]*)(\/.*)?$/i

/**
 * An address such as `postgres://user@one:5432, two:5432/name` as one address for each of its hosts, in their order; one with a single
 * host, or of another shape, as it is. Blanks and empty entries of the list do not count.
 */
export function eachHost(address: string): readonly string[] {
  const [, before, hosts, after = ''] = AUTHORITY.exec(address.trim()) ?? []
  if (before === undefined || hosts === undefined) return [address.trim()]
  const names = hosts.split(/[\s,]+/).filter((name) => name !== '')
  return names.length === 0 ? [address.trim()] : names.map((name) => `${before}${name}${after}`)
}
