const CENSORED = '[redacted]'

/** The key in an address, an authorization header, and a password after its name. */
const AFTER_ITS_NAME = /([?&](?:api_?)?key=|\bpassword=|\b(?:bearer|apikey) +)[^&\s"'\\]+/gi
/** The password in an address, up to the last @ before the path: people forget to encode one. */
const IN_ADDRESS = /(:\/\/[^\s/:@"'\\]*:)[^\s/"'\\]*@/g

/** Replaces the secrets inside addresses, authorization headers and connection settings of a text. */
export function redactText(text: string): string {
  return text.replace(AFTER_ITS_NAME, `$1${CENSORED}`).replace(IN_ADDRESS, `$1${CENSORED}@`)
}
