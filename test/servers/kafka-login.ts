import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCertificate } from './postgres-files.ts'

/** How clients connect and log in. */
export interface KafkaLogin {
  readonly tls?: true
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
    /** Passwords by name. The broker itself logs in as `admin`, which must be among them. */
    readonly users: Readonly<Record<string, string>>
  }
  /** Nobody but `admin` may do anything that is not granted. */
  readonly acls?: true
}

/** Makes the certificates; gives that of the authority as PEM, empty without TLS. */
export async function prepareLogin(folder: string, { tls }: KafkaLogin): Promise<string> {
  if (tls === undefined) return ''
  const ca = await makeCertificate(folder)
  const parts = await Promise.all(
    ['server.key', 'server.crt'].map((name) => readFile(join(folder, name), 'utf8')),
  )
  await writeFile(join(folder, 'server.pem'), parts.join(''))
  return ca
}

/** What the broker is told about it. */
export function loginProperties(folder: string, { tls, sasl, acls }: KafkaLogin): Record<string, string> {
  const protocol = `${sasl ? 'SASL_' : ''}${tls ? 'SSL' : 'PLAINTEXT'}`
  return {
    'listener.security.protocol.map': `CLIENT:${protocol},CONTROLLER:PLAINTEXT,PROXY:PLAINTEXT`,
    ...(tls && tlsProperties(folder)),
    ...(sasl && saslProperties(sasl)),
    ...(acls && {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:admin;User:ANONYMOUS',
    }),
  }
}

function tlsProperties(folder: string): Record<string, string> {
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': join(folder, 'server.pem'),
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(folder, 'ca.crt'),
  }
}

function saslProperties({ mechanism, users }: NonNullable<KafkaLogin['sasl']>): Record<string, string> {
  const kind = mechanism === 'PLAIN' ? 'plain.PlainLoginModule' : 'scram.ScramLoginModule'
  const login = `username="admin" password="${users['admin']}"`
  const listed = Object.entries(users).map(([name, password]) => ` user_${name}="${password}"`)
  const known = mechanism === 'PLAIN' ? listed.join('') : ''
  return {
    'sasl.enabled.mechanisms': mechanism,
    'sasl.mechanism.inter.broker.protocol': mechanism,
    [`listener.name.client.${mechanism.toLowerCase()}.sasl.jaas.config`]: `org.apache.kafka.common.security.${kind} required ${login}${known};`,
  }
}
