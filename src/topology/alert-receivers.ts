import { alertmanagerReceiver, slackReceiver } from '../adapters/transport/alerts/receivers.ts'
import type { Config } from '../config.ts'
import type { AlertReceiver } from '../ports/alert-receiver.ts'
import { startAlertSender } from '../telemetry/alert-sender.ts'
import type { Foundation } from './foundation.ts'

/** Tells everybody whom the configuration names of this process's alerts. */
export function sendAlerts({
  config,
  instance,
  actorParts,
  started,
  log,
}: Pick<Foundation, 'config' | 'instance' | 'actorParts' | 'started' | 'log'>): void {
  const senders = receiversOf(config, instance).map((receiver) =>
    startAlertSender({ alerts: actorParts.alerts, receiver, log }),
  )
  started.add('alert senders', async () => {
    await Promise.all(senders.map((sender) => sender.close()))
  })
}

function receiversOf({ alerts, alertWebhook }: Config, instance: string): readonly AlertReceiver[] {
  return [
    ...(alertWebhook === undefined ? [] : [slackReceiver(alertWebhook, { instance })]),
    ...(alerts.alertmanager === undefined ? [] : [alertmanagerReceiver(alerts.alertmanager, { instance })]),
  ]
}
