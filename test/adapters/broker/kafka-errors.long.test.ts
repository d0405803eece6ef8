import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import {
  AuthenticationError,
  MultipleErrors,
  NetworkError,
  protocolErrors,
  ResponseError,
  UserError,
} from '@platformatic/kafka'
import { errorOfCode, PROTOCOL_ERRORS } from '../../../src/adapters/broker/kafka/error-table.ts'
import { brokerError } from '../../../src/adapters/broker/kafka/errors.ts'
import { outcomeOf } from '../../../src/adapters/broker/kafka/produce-outcome.ts'
import { ERROR_KINDS, type TapelineError } from '../../../src/errors.ts'
import { deadline, uniqueName } from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { classPath } from '../../servers/kafka-jars.ts'
import { QUICK } from '../../servers/kafka-java.ts'
import { openKafkaFor, type ProxiedKafka, startProxiedKafka } from './kafka-fixtures.ts'

/** NONE, which is no error. */
const isError = ([code]: readonly [number, string]): boolean => code !== 0

test('every error code that the library knows is in the table, under its name', () => {
  const known = Object.values(protocolErrors).map(({ code, id }): readonly [number, string] => [code, id])
  for (const [code, name] of known.filter(isError)) assert.equal(PROTOCOL_ERRORS.get(code)?.name, name)
})

test('each code in the table has a reason, and a refusal a code that is not tried again', () => {
  for (const [number, { name, verdict, reason, code }] of PROTOCOL_ERRORS) {
    assert.ok(reason.length > 5, name)
    const { retryable } = ERROR_KINDS[code]
    assert.equal(retryable, verdict !== 'refused' && verdict !== 'fenced', `${name} is ${code}`)
    const error = errorOfCode(number, 'asking failed')
    assert.equal(error.code, code)
    assert.match(error.message, new RegExp(`asking failed: .*\\(${name}, ${number}\\)`))
  }
  assert.equal(errorOfCode(32_000, 'asking failed').code, 'BROKER_UNAVAILABLE', 'a code of the future passes')
})

test('for a batch of records no code means more than the table says', () => {
  for (const [errorCode, { name, verdict }] of PROTOCOL_ERRORS) {
    const part = { index: 0, errorCode, baseOffset: -1n } as const
    const answer = { responses: [{ name: 'topic', partitionResponses: [part] }] }
    const { kind } = outcomeOf('topic', 0, answer as unknown as Parameters<typeof outcomeOf>[2])
    // What may have been done is never taken for refused, and what is nobody's take-over never for one.
    if (verdict === 'unknown') assert.ok(kind === 'in-doubt' || kind === 'unknown', `${name}: ${kind}`)
    if (kind === 'fenced') assert.equal(verdict, 'fenced', name)
    if (kind === 'refused') assert.ok(verdict !== 'foreign' && verdict !== 'fenced', `${name}: ${verdict}`)
    if (kind === 'out-of-sequence') assert.equal(verdict, 'next', name)
  }
})

test('names of hosts mean nothing, whatever is in them', () => {
  for (const host of ['sasl-1.example', 'tls_gateway', 'ssl3-eproto.example', 'unsupported-api']) {
    const refused = Object.assign(new Error(`connect ECONNREFUSED ${host}:9092`), { code: 'ECONNREFUSED' })
    for (const error of [
      new NetworkError(`Connection to ${host}:9092 failed.`, { cause: refused }),
      new NetworkError(`Connection to ${host}:9092 timed out.`),
      new MultipleErrors(`Cannot connect to SASL/any of ${host}`, [refused]),
    ]) {
      assert.equal(brokerError(error, 'asking failed').code, 'BROKER_UNAVAILABLE', error.message)
    }
    const unknown = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' })
    assert.equal(brokerError(unknown, 'asking failed').code, 'BROKER_HOST_UNKNOWN')
  }
})

test('what the library and TLS say of themselves has its meaning', () => {
  const cause = (error: Error): TapelineError =>
    brokerError(new NetworkError('Connection to host:9092 failed.', { cause: error }), 'asking failed')
  assert.equal(cause(new AuthenticationError('SASL authentication failed.')).code, 'BROKER_UNAUTHORIZED')
  assert.equal(cause(new UserError('Broker requires TLS.')).code, 'BROKER_TLS_FAILED')
  const version = Object.assign(new Error('wrong version'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' })
  assert.equal(cause(version).code, 'BROKER_TLS_FAILED')
  const late = Object.assign(new Error('TLS handshake timeout'), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' })
  assert.equal(cause(late).code, 'BROKER_UNAVAILABLE')
  const answer = new ResponseError(1, 1, { '/': [44, 'no'] }, {})
  assert.equal(brokerError(answer, 'asking failed').code, 'BROKER_REFUSED')
})

describe('errors of Kafka', requireServer(kafkaMissing()), () => {
  let kafka: ProxiedKafka
  before(async () => {
    kafka = await startProxiedKafka({ properties: { 'transaction.max.timeout.ms': '1000' } })
  })
  after(() => kafka.close())

  test('every error code of the newest Kafka is in the table, and no other', async () => {
    const page = execFileSync(
      'java',
      [
        ...QUICK,
        '-XX:+UseSerialGC',
        '-cp',
        await classPath('broker'),
        'org.apache.kafka.common.protocol.Errors',
      ],
      { encoding: 'utf8' },
    )
    const rows = [...page.matchAll(/<td>([A-Z_]+)<\/td><td>(-?\d+)<\/td>/g)]
    const listed = rows.map(([, name = '', code]): readonly [number, string] => [Number(code), name])
    assert.ok(listed.length > 130, `${listed.length} rows`)
    assert.deepEqual(
      [...PROTOCOL_ERRORS].map(([code, { name }]) => [code, name]),
      listed.filter(isError).toSorted(([a], [b]) => a - b),
    )
  })

  test('a transactional id that the broker never gives is refused at once, with a remedy', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    await assert.rejects(broker.takeOver(uniqueName('id'), deadline()), (error) => {
      const { code, message, remedy } = error as TapelineError
      assert.equal(code, 'BROKER_REFUSED')
      assert.match(message, /INVALID_TRANSACTION_TIMEOUT/)
      assert.match(remedy, /transaction\.max\.timeout\.ms/)
      return true
    })
  })

  test('a topic that the broker never makes is refused at once, with a remedy', async (t) => {
    const copies = await openKafkaFor(t, kafka.server.bootstrap, { replication: 3 })
    const started = performance.now()
    const name = uniqueName()
    await assert.rejects(copies.createTopics([{ name, partitions: 1 }], deadline()), (error) => {
      const { code, message, remedy } = error as TapelineError
      assert.equal(code, 'BROKER_REFUSED')
      assert.match(message, /INVALID_REPLICATION_FACTOR/)
      assert.match(remedy, /broker\.replication/)
      return true
    })
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    for (const spec of [
      { name: 'not a name', partitions: 1 },
      { name: uniqueName(), partitions: -3 },
      { name: uniqueName(), partitions: 1, retentionMs: -7 },
    ]) {
      await assert.rejects(broker.createTopics([spec], deadline()), { code: 'BROKER_REFUSED' }, spec.name)
    }
    assert.ok(performance.now() - started < 10_000, 'none was tried again and again')
  })
})
