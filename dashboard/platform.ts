/** What the API answers, as far as the page shows it. Source: docs/api.md. */

export type MachineName = 'producer' | 'coordinator' | 'consumerFixed' | 'consumerDynamic'

export interface Actor {
  readonly id: string
  readonly instance: string
  readonly machine: MachineName
  readonly state: string
  readonly since: string
  readonly restarts: number
  readonly errorInfo: {
    readonly code: string
    readonly message: string
    readonly step: string
    readonly attempt: number
    readonly retryable: boolean
    /** Milliseconds since 1970. */
    readonly since: number
  } | null
  readonly context: Readonly<Record<string, unknown>>
}

export interface Alert {
  readonly id: string
  readonly instance: string
  readonly code: string
  readonly message: string
  readonly since: string
}

export interface Topic {
  readonly name: string
  readonly partitions: number
  readonly earliest: number
  readonly end: number
}

/** The machines in the order of the data's way. */
export const MACHINES: Readonly<Record<MachineName, { readonly title: string; readonly does: string }>> = {
  producer: { title: 'Producer', does: 'fetches data and publishes it to topics' },
  coordinator: { title: 'Coordinator', does: 'makes and removes the topics of streams' },
  consumerFixed: { title: 'Consumer, fixed', does: 'writes fixed topics to the database' },
  consumerDynamic: { title: 'Consumer, dynamic', does: 'hands streams to applications' },
}

/** Whether a text names a machine. */
export function isMachine(name: string): name is MachineName {
  return Object.hasOwn(MACHINES, name)
}
