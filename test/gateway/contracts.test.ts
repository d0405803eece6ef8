import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Parser } from '@asyncapi/parser'
import { validate } from '@scalar/openapi-parser'
import { APP_MESSAGES, dataMessageSchema, webhookMessages } from '../../src/domain/app-messages.ts'
import { EVENT_SCHEMAS } from '../../src/domain/event-codec.ts'
import { parseStreamRequest } from '../../src/domain/stream-spec.ts'
import { parseSocketMessage } from '../../src/gateway/socket-message.ts'
import { encodeDataFrame } from '../../src/services/consumer-dynamic/data-frame.ts'
import { call } from './http.ts'
import { startPlatform } from './platform.ts'

interface Messages {
  readonly components: {
    readonly messages: Readonly<
      Record<string, { readonly examples: readonly { readonly payload: object }[] }>
    >
  }
}

describe('the contracts', () => {
  test('the OpenAPI document is one, by the judgement of another, and its examples are acceptable', async (t) => {
    const { url } = await startPlatform(t)
    const { text } = await call(`${url}/docs/json`)
    const { valid, errors } = await validate(text)
    assert.deepEqual([valid, errors ?? []], [true, []])
    const body = JSON.parse(text).paths['/v1/streams'].post.requestBody.content['application/json']
    const examples: { readonly value: unknown }[] = Object.values(body.examples)
    assert.ok(examples.length > 0)
    for (const { value } of examples) parseStreamRequest(value, Date.now())
  })

  test('the AsyncAPI document is one, by the judgement of another, and needs no key', async (t) => {
    const { url } = await startPlatform(t, { keys: [{ name: 'desk', key: 'secret' }] })
    const answer = await call(`${url}/v1/asyncapi.json`)
    assert.equal(answer.status, 200)
    const diagnostics = await new Parser().validate(answer.text)
    // Severity 0 is an error, 1 a warning.
    const faults = diagnostics.filter(({ severity }) => severity < 2)
    assert.deepEqual(
      faults.map(({ message, path }) => `${path.join('.')}: ${message}`),
      [],
    )
  })

  test('its examples are what the code reads and writes', async (t) => {
    const { url } = await startPlatform(t)
    const { components } = (await call(`${url}/v1/asyncapi.json`)).json() as unknown as Messages
    const sent: Readonly<Record<string, { parse(value: unknown): unknown }>> = {
      data: dataMessageSchema(EVENT_SCHEMAS.trade),
      ...APP_MESSAGES,
      ...Object.fromEntries(
        Object.entries(webhookMessages(EVENT_SCHEMAS.trade)).map(([op, schema]) => [`webhook-${op}`, schema]),
      ),
    }
    for (const [name, { examples }] of Object.entries(components.messages)) {
      assert.ok(examples.length > 0, name)
      for (const { payload } of examples) {
        if (sent[name] === undefined) parseSocketMessage(Buffer.from(JSON.stringify(payload)), false)
        else assert.deepEqual(sent[name].parse(payload), payload)
      }
    }
    const event = {
      exchange: 'kraken',
      symbol: 'BTC-USD',
      id: '1',
      side: 'buy',
      price: 1,
      size: 2,
      ts: 3,
      recvTs: 4,
    }
    const events = [{ offset: 7, value: Buffer.from(JSON.stringify(event)) }]
    const batch = { topicId: 'T', from: 7, next: 8, events, after: { epochs: {}, positions: {} } }
    for (const skipped of [0, 3]) {
      const { bytes } = encodeDataFrame(
        'lease',
        batch as unknown as Parameters<typeof encodeDataFrame>[1],
        7,
        skipped,
      )
      const frame: unknown = JSON.parse(bytes.toString())
      assert.deepEqual(sent['data']?.parse(frame), frame)
      assert.equal((frame as { skipped?: number }).skipped, skipped || undefined)
    }
  })
})
