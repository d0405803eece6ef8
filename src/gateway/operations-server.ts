import { createGuard } from './guard.ts'
import { type Listening, listen, refuseUnusableKeys } from './listening.ts'
import type { GatewayOptions } from './options.ts'
import { createOrigins } from './origins.ts'
import { registerDocs } from './routes/docs.ts'
import { registerOperations } from './routes/operations.ts'
import { createServer } from './server.ts'
import { createVisibility } from './visible.ts'

/** What the operations of a process are served from: a part of what a gateway has. */
export type OperationsOptions = Pick<
  GatewayOptions,
  | 'host'
  | 'port'
  | 'tls'
  | 'keys'
  | 'actors'
  | 'alerts'
  | 'metrics'
  | 'ready'
  | 'info'
  | 'log'
  | 'meter'
  | 'dynamicPrefix'
>

/**
 * Starts the interface of a process without the role gateway: health, readiness and metrics for everybody who reaches it
 * (Kubernetes and Prometheus carry no keys), actors and alerts as in the gateway. Without API keys those two are for this
 * machine only, whatever address it listens on.
 * Raises PORT_IN_USE, CONFIG_INVALID (an address that cannot be listened on, an empty key).
 */
export async function startOperations(options: OperationsOptions): Promise<Listening> {
  const { host, port, tls, keys, info, log, meter } = options
  refuseUnusableKeys(keys)
  let isClosing = false
  const identify = createGuard(keys)
  const origins = createOrigins([])
  const app = await createServer({ identify, closing: () => isClosing, tls, origins, log, meter })
  await registerDocs(app, info)
  registerOperations(app, { ...options, visible: createVisibility(options) }, { openMetrics: true })
  return listen(app, {
    host,
    port,
    onClosing: () => {
      isClosing = true
    },
  })
}
