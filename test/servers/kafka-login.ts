import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeCertificate } from './postgres-files.ts'

type Mechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

/** A listener at which the same users log in, besides the one at which the broker itself does. */
interface FurtherLogin {
  readonly mechanism: Mechanism
  readonly tls?: true
  readonly port: number
}

/** How clients connect and log in. */
export interface KafkaLogin {
  readonly tls?: true
  readonly sasl?: {
    readonly mechanism: Mechanism
    /** Passwords by name. The broker itself logs in as `admin`, which must be among them. */
    readonly users: Readonly<Record<string, string>>
    readonly further?: readonly FurtherLogin[]
  }
  /** Nobody but `admin` may do anything that is not granted. */
  readonly acls?: true
}

/** Makes the certificates; gives that of the authority as PEM, empty without TLS. */
export async function prepareLogin(folder: string, login: KafkaLogin): Promise<string> {
  if (!hasTls(login)) return ''
  const ca = await makeCertificate(folder)
  const parts = await Promise.all(
    ['server.key', 'server.crt'].map((name) => readFile(join(folder, name), 'utf8')),
  )
  await writeFile(join(folder, 'server.pem'), parts.join(''))
  return ca
}

function hasTls({ tls, sasl }: KafkaLogin): boolean {
  return tls === true || (sasl?.further ?? []).some((each) => each.tls)
}

/** Arguments of the tool that formats the data folder: users whose passwords the cluster keeps. */
export function scramUsers({ sasl }: KafkaLogin): string[] {
  if (sasl === undefined) return []
  const mechanisms = [sasl, ...(sasl.further ?? [])].map(({ mechanism }) => mechanism)
  return [...new Set(mechanisms)]
    .filter((mechanism) => mechanism !== 'PLAIN')
    .flatMap((mechanism) =>
      Object.entries(sasl.users).flatMap(([name, password]) => [
        '--add-scram',
        `${mechanism}=[name=${name},password=${password}]`,
      ]),
    )
}

/** The further listeners, as `listeners` and `advertised.listeners` name them. */
export function furtherListeners({ sasl }: KafkaLogin): string[] {
  return (sasl?.further ?? []).map(({ port }, at) => `${furtherName(at)}://127.0.0.1:${port}`)
}

const furtherName = (at: number): string => `FURTHER${at}`

/** What the broker is told about it. */
export function loginProperties(folder: string, login: KafkaLogin): Record<string, string> {
  const { tls, sasl, acls } = login
  const further = sasl?.further ?? []
  const protocols = [
    `CLIENT:${protocolOf(tls, sasl !== undefined)}`,
    ...further.map((each, at) => `${furtherName(at)}:${protocolOf(each.tls, true)}`),
    'CONTROLLER:PLAINTEXT',
    'PROXY:PLAINTEXT',
  ]
  return {
    'listener.security.protocol.map': protocols.join(),
    ...(hasTls(login) && tlsProperties(folder)),
    ...(sasl && {
      'sasl.mechanism.inter.broker.protocol': sasl.mechanism,
      ...listenerProperties('client', sasl.mechanism, sasl.users),
      ...Object.assign(
        {},
        ...further.map(({ mechanism }, at) => listenerProperties(furtherName(at), mechanism, sasl.users)),
      ),
    }),
    ...(acls && {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:admin;User:ANONYMOUS',
    }),
  }
}

function protocolOf(tls: true | undefined, hasLogin: boolean): string {
  return `${hasLogin ? 'SASL_' : ''}${tls ? 'SSL' : 'PLAINTEXT'}`
}

function tlsProperties(folder: string): Record<string, string> {
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': join(folder, 'server.pem'),
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(folder, 'ca.crt'),
  }
}

function listenerProperties(
  listener: string,
  mechanism: Mechanism,
  users: Readonly<Record<string, string>>,
): Record<string, string> {
  const kind = mechanism === 'PLAIN' ? 'plain.PlainLoginModule' : 'scram.ScramLoginModule'
  const login = `username="admin" password="${users['admin']}"`
  const listed = Object.entries(users).map(([name, password]) => ` user_${name}="${password}"`)
  const known = mechanism === 'PLAIN' ? listed.join('') : ''
  const prefix = `listener.name.${listener.toLowerCase()}`
  return {
    [`${prefix}.sasl.enabled.mechanisms`]: mechanism,
    [`${prefix}.${mechanism.toLowerCase()}.sasl.jaas.config`]: `org.apache.kafka.common.security.${kind} required ${login}${known};`,
  }
}
