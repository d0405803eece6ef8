import { TapelineError } from '../../../errors.ts'

/** Reads a configured address. Raises CONFIG_INVALID, naming the setting and never the secret parts of an address. */
export function parseAddress(setting: string, text: string, protocols: readonly string[]): URL {
  const url = URL.parse(text)
  if (url && protocols.includes(url.protocol)) return url
  const allowed = protocols.map((protocol) => `${protocol}//`).join(' or ')
  throw new TapelineError('CONFIG_INVALID', `${setting} is not an address that begins with ${allowed}`)
}
