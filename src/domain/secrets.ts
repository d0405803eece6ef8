/** Secrets as they stand in control records: those of webhooks. */
const SECRETS = /whsec_[A-Za-z0-9+/=]+/g

/** A control record as people and programs may see it: with what signs webhooks left out. */
export function withoutSecrets(text: string): string {
  return text.replace(SECRETS, 'whsec_***')
}
