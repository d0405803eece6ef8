import { pageOfCode, TapelineError } from '../../../errors.ts'
import type { Alert } from '../../../ports/actors.ts'
import type { AlertNews, AlertReceiver } from '../../../ports/alert-receiver.ts'

/** Alertmanager takes an alert for resolved that it was not told again within five minutes. */
const REPEAT_MS = 60_000

/** Who tells. */
interface Teller {
  readonly instance: string
}

/** A webhook of Slack, or of what takes the same messages. Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
export function slackReceiver(address: string, { instance }: Teller): AlertReceiver {
  return {
    name: 'webhook',
    tell: (news, signal) => post(address, { text: linesOf(news, instance).join('\n') }, signal),
  }
}

function linesOf({ raised, ended }: AlertNews, instance: string): readonly string[] {
  return [
    ...raised.map(({ id, code, message, since }) =>
      plain(`Tapeline alert ${id} on ${instance} since ${since}: ${message} (${pageOfCode(code)})`),
    ),
    ...ended.map(({ id, code, endedAt }) =>
      plain(`Tapeline alert ${id} on ${instance} is over since ${endedAt} (${code})`),
    ),
  ]
}

/** Three characters mean something in a message. */
function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/**
 * Prometheus' Alertmanager, at the address that Prometheus has of it. Source:
 * https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
 */
export function alertmanagerReceiver(address: string, { instance }: Teller): AlertReceiver {
  const url = new URL(`${address.replace(/\/$/, '')}/api/v2/alerts`).href
  const entryOf = ({ id, code, message, since }: Alert, endsAt?: string): object => ({
    labels: { alertname: `Tapeline_${code}`, job: 'tapeline', instance, alert: id, code },
    annotations: { summary: message, runbook: pageOfCode(code) },
    startsAt: since,
    ...(endsAt !== undefined && { endsAt }),
  })
  return {
    name: 'alertmanager',
    repeatMs: REPEAT_MS,
    tell: ({ raised, ended }, signal) =>
      post(
        url,
        [...raised.map((each) => entryOf(each)), ...ended.map((each) => entryOf(each, each.endedAt))],
        signal,
      ),
  }
}

/** The address may hold a secret: no error has it. Raises ALERT_NOT_SENT. */
async function post(address: string, body: unknown, signal: AbortSignal): Promise<void> {
  const answer = await fetch(address, {
    method: 'POST',
    redirect: 'error',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  }).catch((cause: unknown) => {
    const why = signal.aborted ? 'no answer in time' : reasonOf(cause)
    throw new TapelineError('ALERT_NOT_SENT', `the receiver cannot be reached: ${why}`)
  })
  await answer.body?.cancel()
  if (!answer.ok) throw new TapelineError('ALERT_NOT_SENT', `the receiver answered ${answer.status}`)
}

function reasonOf(error: unknown): string {
  const { cause } = error as { readonly cause?: { readonly code?: string } }
  return cause?.code ?? 'the connection failed'
}
