const CENSORED = '[redacted]'

/** The key in an address, an authorization header, and a password after its name. */
const AFTER_ITS_NAME = /([?&](?:api_?)?key=|\bpassword=|\b(?:bearer|apikey) +)[^&\s"'\\]+/gi
/** The password in an address, up to the last @ before the path: people forget to encode one. */
const IN_ADDRESS = /(:\/\/[^\s/:@"'\\]*:)[^\s/"'\\]*@/g
/** What signs the messages of a webhook. */
const OF_WEBHOOKS = /whsec_[A-Za-z0-9+/=]+/g

/** A shorter one would be found in many words, and protects nothing. */
const SHORTEST = 6
/** One that is as long is replaced inside longer words too; a shorter one, such as `postgres`, only where it stands alone. */
const UNMISTAKABLE = 16

const hidden = new Set<string>()
let known: RegExp | undefined

/** From now on `redactText` replaces these secrets of the process, however they are written: as they are, in addresses, and in JSON. */
export function hideSecrets(secrets: readonly (string | undefined)[]): void {
  for (const secret of secrets) {
    if (secret === undefined || secret.length < SHORTEST) continue
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      hidden.add(form)
  }
  const forms = [...hidden].sort((a, b) => b.length - a.length).map(patternOf)
  known = forms.length === 0 ? undefined : new RegExp(forms.join('|'), 'g')
}

function patternOf(secret: string): string {
  const text = secret.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
  return secret.length >= UNMISTAKABLE ? text : `(?<![\\w.-])${text}(?![\\w-]|\\.\\w)`
}

/** Replaces in a text the secrets of this process, and whatever looks like one: in addresses, authorization headers and connection settings. */
export function redactText(text: string): string {
  const withoutKnown = known === undefined ? text : text.replace(known, CENSORED)
  return withoutKnown
    .replace(AFTER_ITS_NAME, `$1${CENSORED}`)
    .replace(IN_ADDRESS, `$1${CENSORED}@`)
    .replace(OF_WEBHOOKS, CENSORED)
}
