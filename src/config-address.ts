import { eachHost } from './domain/host-list.ts'

/** The address of a database without its password, and the password. */
export interface DatabaseAddress {
  readonly url: string
  readonly password: string | undefined
}

/** What is wrong with an address, and what to do; neither repeats any of it, since a piece of a password may be anywhere in it. */
export interface AddressProblem {
  readonly message: string
  readonly remedy: string
}

/** What other programs take after the `?` of an address, and which setting of ours decides it. */
const PARAMETERS: Readonly<Record<string, string>> = {
  password: 'TAPELINE_STORE_PASSWORD or store.passwordFile',
  sslmode: 'store.tls',
  ssl: 'store.tls',
  sslrootcert: 'store.tlsCa',
  sslcert: 'store.tls and store.tlsCa',
  sslkey: 'store.tls and store.tlsCa',
  application_name: '',
  connect_timeout: '',
  options: '',
  target_session_attrs: '',
}

const ENCODE = 'In a user, password or database write % as %25, # as %23, / as %2F, ? as %3F, @ as %40.'

/**
 * Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or says what is wrong with it. There may be several hosts, with commas or blanks
 * between them; in the answer these are commas.
 */
export function splitAddress(text: string): DatabaseAddress | AddressProblem {
  const read = eachHost(text).map(splitOne)
  const urls: string[] = []
  for (const each of read) {
    if ('message' in each) return each
    urls.push(each.url)
  }
  const [first, ...others] = read
  if (first === undefined || 'message' in first || others.length === 0) return first ?? splitOne(text)
  const hosts = urls.map((url) => new URL(url).host).join(',')
  return { ...first, url: first.url.replace(/@[^@/]*/, `@${hosts}`) }
}

function splitOne(text: string): DatabaseAddress | AddressProblem {
  const url = URL.parse(text.trim())
  const [, port] = /:(\d+)(?:\/[^@]*)?$/.exec(text.trim()) ?? []
  if (url?.port === '0' || (url === null && Number(port) > 65_535))
    return { message: 'has a port that is not from 1 to 65535', remedy: 'Correct the port.' }
  if (url === null)
    return {
      message: 'is not an address',
      remedy: `Write postgres://USER@HOST:PORT/DATABASE, of several hosts HOST:PORT,HOST:PORT. ${ENCODE}`,
    }
  // What stands after a bare ?, # or / of a password seems to be a parameter, a fragment or the database.
  if (url.hash !== '' || url.pathname.includes('@') || url.pathname.slice(1).includes('/'))
    return { message: 'has a #, / or @ where none belongs', remedy: ENCODE }
  const parameters = [...url.searchParams.keys()]
  if (url.search !== '' || parameters.length > 0) return parametersProblem(parameters)
  if (url.hostname === '')
    return { message: 'names no host', remedy: 'Write postgres://USER@HOST:PORT/DATABASE.' }
  if (url.username === '')
    return { message: 'names no user', remedy: 'Write postgres://USER@HOST:PORT/DATABASE.' }
  try {
    for (const part of [url.username, url.pathname]) decodeURIComponent(part)
    const password = decodeURIComponent(url.password)
    url.password = ''
    return { url: url.href, password: password === '' ? undefined : password }
  } catch {
    return { message: 'has a % that encodes nothing', remedy: ENCODE }
  }
}

/** Passed over in silence, sslmode=require would leave a connection open that is believed to be encrypted. */
function parametersProblem(parameters: readonly string[]): AddressProblem {
  const [first = ''] = parameters
  const setting = Object.hasOwn(PARAMETERS, first) ? PARAMETERS[first] : undefined
  if (setting === undefined) return { message: 'has something after its ?', remedy: `Take it out. ${ENCODE}` }
  const instead = setting === '' ? '' : `, and set ${setting}`
  return { message: `has ${first} after its ?`, remedy: `Take it out of the address${instead}.` }
}
