import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { alertmanagerReceiver, slackReceiver } from '../../../src/adapters/transport/alerts/receivers.ts'
import { TapelineError } from '../../../src/errors.ts'

const SINCE = '2026-03-02T00:00:00.000Z'
const ENDED = '2026-03-02T00:05:00.000Z'
const ALERT = { id: 'producer', code: 'SOURCE_STALE', message: 'nothing <came> & stayed', since: SINCE }
const OVER = { ...ALERT, id: 'database', code: 'STORE_UNAVAILABLE', endedAt: ENDED }

/** A server that keeps what it is posted. */
async function listening(t: TestContext, status = 200) {
  const posted: { path: string; body: unknown }[] = []
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray()
    posted.push({ path: request.url ?? '', body: JSON.parse(Buffer.concat(chunks).toString()) })
    response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end('ok')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { posted, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const signal = () => AbortSignal.timeout(10_000)

test('Alertmanager gets labels, the page that says what to do, and the end', async (t) => {
  const { posted, address } = await listening(t)
  await alertmanagerReceiver(`${address}/`, { instance: 'host-1' }).tell(
    { raised: [ALERT], ended: [OVER] },
    signal(),
  )
  assert.deepEqual(posted, [
    {
      path: '/api/v2/alerts',
      body: [
        {
          labels: {
            ...{ alertname: 'Tapeline_SOURCE_STALE', job: 'tapeline', instance: 'host-1' },
            ...{ alert: 'producer', code: 'SOURCE_STALE' },
          },
          annotations: { summary: ALERT.message, runbook: 'docs/errors.md#source_stale' },
          startsAt: SINCE,
        },
        {
          labels: {
            ...{ alertname: 'Tapeline_STORE_UNAVAILABLE', job: 'tapeline', instance: 'host-1' },
            ...{ alert: 'database', code: 'STORE_UNAVAILABLE' },
          },
          annotations: { summary: ALERT.message, runbook: 'docs/errors.md#store_unavailable' },
          startsAt: SINCE,
          endsAt: ENDED,
        },
      ],
    },
  ])
})

test('a webhook of Slack gets one text, in which nothing is markup', async (t) => {
  const { posted, address } = await listening(t)
  await slackReceiver(`${address}/services/T0/secret`, { instance: 'host-1' }).tell(
    { raised: [ALERT], ended: [OVER] },
    signal(),
  )
  assert.deepEqual(posted, [
    {
      path: '/services/T0/secret',
      body: {
        text: [
          `Tapeline alert producer on host-1 since ${SINCE}: nothing &lt;came&gt; &amp; stayed (docs/errors.md#source_stale)`,
          `Tapeline alert database on host-1 is over since ${ENDED} (STORE_UNAVAILABLE)`,
        ].join('\n'),
      },
    },
  ])
})

test('what goes wrong has a code, and never the address', async (t) => {
  for (const status of [500, 404, 302]) {
    const { address } = await listening(t, status)
    await assert.rejects(
      slackReceiver(`${address}/hunter22`, { instance: 'x' }).tell({ raised: [ALERT], ended: [] }, signal()),
      (error) =>
        error instanceof TapelineError &&
        error.code === 'ALERT_NOT_SENT' &&
        !error.message.includes('hunter22'),
      String(status),
    )
  }
  await assert.rejects(
    slackReceiver('http://127.0.0.1:1/hunter22', { instance: 'x' }).tell(
      { raised: [ALERT], ended: [] },
      signal(),
    ),
    (error) => error instanceof TapelineError && !error.message.includes('hunter22'),
  )
})
