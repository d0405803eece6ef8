import { hasKey, socketUrl } from './api.ts'

/** One step of a machine. */
export interface Transition {
  /** Microseconds since 1970. */
  readonly ts: number
  readonly actor: string
  readonly machine: string
  readonly from: string
  readonly event: string
  readonly to: string
}

/** What the platform says of the machines of one process. Source: docs/api.md, Watching machines. */
export interface News {
  readonly op: 'snapshot' | 'transitions'
  readonly instance: string
  readonly transitions: readonly Transition[]
  readonly skipped: number
  /** By `machine.from.EVENT.to`, all in all. */
  readonly counts: Readonly<Record<string, number>>
}

/** When to connect again: after a connection that was lost, and after one that was refused. */
const [LOST_MS, REFUSED_MS] = [2_000, 60_000]

interface Watch {
  readonly onNews: (news: News) => void
  /** Whether news come. Where they do not, the state of the machines is asked for again and again. */
  readonly onLive: (isLive: boolean) => void
  /** It was refused: the key is none of an admin. */
  readonly onRefused: () => void
}

/** Watches the machines until the view is left, and connects again when the connection is lost. */
export function watchTransitions(watch: Watch, signal: AbortSignal): void {
  const { onNews, onLive, onRefused } = watch
  if (signal.aborted) return
  const socket = new WebSocket(socketUrl('/v1/actors/transitions'))
  const leave = (): void => socket.close()
  signal.addEventListener('abort', leave)
  let wasOpen = false
  socket.onopen = () => {
    wasOpen = true
    onLive(true)
  }
  socket.onmessage = ({ data }) => onNews(JSON.parse(String(data)) as News)
  socket.onclose = () => {
    signal.removeEventListener('abort', leave)
    if (signal.aborted) return
    onLive(false)
    if (!wasOpen && hasKey()) onRefused()
    setTimeout(() => watchTransitions(watch, signal), wasOpen ? LOST_MS : REFUSED_MS)
  }
}
