import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { startTimer } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'
import { type Address, type KafkaSettings, parseAddress } from './settings.ts'

const PROBE_MS = 2_000
/** SaslHandshake, and what a listener without login answers to it. Source: https://kafka.apache.org/protocol */
const SASL_HANDSHAKE = 17
const ILLEGAL_SASL_STATE = 34

/**
 * Why a broker closed the connection at the first requests, where the reason is one that only a person can cure. Brokers just
 * close when they are spoken to with TLS and expect none, the other way round, or without a login that they want; a broker that
 * is being stopped does the same. So the listener is asked in the other way. Gives the error as it is where that tells nothing.
 */
export async function explainClosed(error: TapelineError, settings: KafkaSettings): Promise<TapelineError> {
  if (error.code !== 'BROKER_UNAVAILABLE') return error
  const { bootstrap, tls, sasl } = settings
  const failure = (code: 'BROKER_TLS_FAILED' | 'BROKER_LOGIN_MISMATCH', message: string): TapelineError =>
    new TapelineError(code, message, { cause: error })
  for (const server of bootstrap) {
    const address = parseAddress(server)
    const [plain, encrypted] = await Promise.all([askPlain(address), askTls(address, tls)])
    if (tls === undefined && encrypted !== undefined && plain === undefined)
      return failure('BROKER_TLS_FAILED', `${server} speaks TLS, and broker.tls is false`)
    if (tls !== undefined && plain !== undefined)
      return failure('BROKER_TLS_FAILED', `${server} does not speak TLS, and broker.tls is true`)
    const answer = tls === undefined ? plain : encrypted
    const wantsLogin = answer !== undefined && answer !== 'silent' && answer !== ILLEGAL_SASL_STATE
    if (sasl === undefined && wantsLogin)
      return failure('BROKER_LOGIN_MISMATCH', `${server} wants a login, and broker.sasl is none`)
    if (sasl !== undefined && answer === ILLEGAL_SASL_STATE)
      return failure('BROKER_LOGIN_MISMATCH', `${server} takes no login: broker.sasl must be none`)
  }
  return error
}

/** The error code of the answer; `silent` where the listener took the way of speaking and did not answer; else undefined. */
type Answer = number | 'silent' | undefined

function askPlain({ host, port }: Address): Promise<Answer> {
  return ask(connectPlain({ host, port }), 'connect', undefined)
}

/** A handshake is an answer: whose certificate it is was for the connection that failed to decide. */
function askTls({ host, port }: Address, tls: KafkaSettings['tls']): Promise<Answer> {
  const socket = connectTls({ host, port, cert: tls?.cert, key: tls?.key, rejectUnauthorized: false })
  return ask(socket, 'secureConnect', 'silent')
}

function ask(socket: Socket, ready: 'connect' | 'secureConnect', whenSilent: Answer): Promise<Answer> {
  return new Promise((resolve) => {
    let answer: Answer
    let received = Buffer.alloc(0)
    const end = (): void => {
      timer.stop()
      socket.destroy()
      resolve(answer)
    }
    const timer = startTimer(end, PROBE_MS)
    socket.once('error', end)
    socket.once('close', end)
    socket.once(ready, () => {
      answer = whenSilent
      socket.write(saslHandshake())
    })
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      if (received.length < 10) return
      // What a TLS listener answers to plain text is an alert, which has another correlation id.
      if (received.readInt32BE(4) === CORRELATION_ID) answer = received.readInt16BE(8)
      end()
    })
  })
}

const CORRELATION_ID = 0x74617065

/** Version 1 of the request, for a mechanism that the answer need not know. */
function saslHandshake(): Buffer {
  const [client, mechanism] = ['tapeline', 'PLAIN']
  const request = Buffer.alloc(4 + 8 + 2 + client.length + 2 + mechanism.length)
  let at = request.writeInt32BE(request.length - 4, 0)
  at = request.writeInt16BE(SASL_HANDSHAKE, at)
  at = request.writeInt16BE(1, at)
  at = request.writeInt32BE(CORRELATION_ID, at)
  at = request.writeInt16BE(client.length, at)
  at += request.write(client, at)
  at = request.writeInt16BE(mechanism.length, at)
  request.write(mechanism, at)
  return request
}
