import { jsonFrame } from './frame.ts'
import type { CallCounts } from './rate-limit.ts'

/** The control messages of WebSocket v2, as frames. */

export const SUBSCRIPTIONS_PER_SOCKET = 600

export interface Welcome {
  readonly uptimeSeconds: number
  readonly nowMillis: number
  readonly socketId: string
  readonly socketsActive: number
  readonly socketsRemaining: number
  readonly opened: { readonly max: CallCounts; readonly left: CallCounts }
}

export function welcome({ uptimeSeconds, nowMillis, opened, ...sockets }: Welcome): string {
  return jsonFrame({
    TYPE: '20',
    MESSAGE: 'STREAMERWELCOME',
    SERVER_UPTIME_SECONDS: uptimeSeconds,
    SERVER_NAME: 'simulator-streamer01',
    SERVER_TIME_MS: nowMillis,
    CLIENT_ID: 5509,
    DATA_FORMAT: 'JSON',
    SOCKET_ID: sockets.socketId,
    SOCKETS_ACTIVE: sockets.socketsActive,
    SOCKETS_REMAINING: sockets.socketsRemaining,
    RATELIMIT_MAX_SECOND: opened.max.second,
    RATELIMIT_MAX_MINUTE: opened.max.minute,
    RATELIMIT_MAX_HOUR: opened.max.hour,
    RATELIMIT_MAX_DAY: opened.max.day,
    RATELIMIT_MAX_MONTH: opened.max.month,
    RATELIMIT_REMAINING_SECOND: opened.left.second,
    RATELIMIT_REMAINING_MINUTE: opened.left.minute,
    RATELIMIT_REMAINING_HOUR: opened.left.hour,
    RATELIMIT_REMAINING_DAY: opened.left.day,
    RATELIMIT_REMAINING_MONTH: opened.left.month,
  })
}

export function subscribeComplete(subscription: string): string {
  return jsonFrame({ TYPE: '16', MESSAGE: 'SUBSCRIBECOMPLETE', SUB: subscription })
}

export function loadComplete(): string {
  return jsonFrame({ TYPE: '3', MESSAGE: 'LOADCOMPLETE', INFO: 'All your valid subs have been loaded.' })
}

export function unsubscribeComplete(subscription: string): string {
  return jsonFrame({ TYPE: '17', MESSAGE: 'UNSUBSCRIBECOMPLETE', SUB: subscription })
}

export function unsubscribeAllComplete(valid: number, invalid: number): string {
  return jsonFrame({
    TYPE: '18',
    MESSAGE: 'UNSUBSCRIBEALLCOMPLETE',
    INFO: `Removed ${valid} subs.`,
    INFO_OBJ: { valid, invalid },
  })
}

export function heartbeat(nowMillis: number): string {
  return jsonFrame({ TYPE: '999', MESSAGE: 'HEARTBEAT', TIMEMS: nowMillis })
}

export function unauthorized(parameter: string, info: string): string {
  return jsonFrame({ TYPE: '401', MESSAGE: 'UNAUTHORIZED', PARAMETER: parameter, INFO: info })
}

/** TYPE is a number here, as has been seen. */
export function tooManySockets(): string {
  return jsonFrame({
    TYPE: 429,
    MESSAGE: 'TOO_MANY_SOCKETS_MAX_1_PER_CLIENT',
    INFO: 'You have reached your maximum sockets open for your subscription',
  })
}

export function openingTooFast(): string {
  return jsonFrame({
    TYPE: '429',
    MESSAGE: 'RATE_LIMIT_OPENING_SOCKETS_TOO_FAST',
    INFO: 'Please spread out opening new connections.',
  })
}

export function tooManySubscriptions(subscription: string): string {
  return jsonFrame({
    TYPE: '429',
    MESSAGE: `TOO_MANY_SUBSCRIPTIONS_MAX_${SUBSCRIPTIONS_PER_SOCKET}_PER_SOCKET`,
    PARAMETER: subscription,
    INFO: 'You have reached your maximum subscriptions for this socket.',
  })
}

/** What TYPE 500 may say, with the text that goes with it. */
const ERRORS = {
  INVALID_JSON: () => 'The message you have sent is not valid JSON.',
  INVALID_SUB: (subscription: string) =>
    `We have not integrated any of the exchanges ${subscription.split('~')[2] ?? subscription} trades on or we have not currently mapped it.`,
  INVALID_PARAMETER: (parameter: string) => `The ${parameter} of your message is invalid.`,
  SUBSCRIPTION_UNRECOGNIZED: () => 'You are not receiving updates on this subscription.',
  SUBSCRIPTION_ALREADY_ACTIVE: () => 'You are already receiving updates on this subscription.',
  FORCE_DISCONNECT: () => 'You had two slow pong responses in a row. Please reconnect.',
} as const

export function serverError(message: keyof typeof ERRORS, parameter: string): string {
  return jsonFrame({ TYPE: '500', MESSAGE: message, PARAMETER: parameter, INFO: ERRORS[message](parameter) })
}
