import { TapelineError } from '../errors.ts'

/** Modes in which the service does not deliver, the strongest first: where several are on, the first one counts. */
const OUTAGES = ['drop', 'stall', 'close', '401', '429', 'babble'] as const
export type Outage = (typeof OUTAGES)[number]

/** Modes in which it delivers everything, but not only that and not in order. */
const DISTORTIONS = ['duplicate', 'out-of-order', 'garbage'] as const
export type Distortion = (typeof DISTORTIONS)[number]

/** How often a distortion happens, a trade, unless the mode says another share. */
const DEFAULT_SHARES: Readonly<Record<Distortion, number>> = {
  duplicate: 0.3,
  'out-of-order': 0.2,
  garbage: 0.05,
}

export type Side = 'websocket' | 'rest'

/**
 * The misbehaviour that is on. A mode is written `[ws-]NAME[:NUMBER]`:
 *
 * - `drop`: connections are cut and refused. `drop:N` accepts them and cuts each WebSocket every N seconds instead.
 * - `stall`: connections stay open and nothing moves, neither heartbeats nor pongs; handshakes and REST calls hang. What was
 *   due meanwhile follows when it ends, so a connection that survives has no hole.
 * - `close`: the server closes each connection as soon as it has accepted it.
 * - `401`, `429`: the answers of the service to a bad key and to too many calls, then the connection is closed.
 * - `babble`: WebSockets get frames that are none of the protocol in the place of all others. REST works.
 * - `duplicate`, `out-of-order`, `garbage`: trades sent twice, neighbouring trades swapped, frames between the valid ones that
 *   are none of the protocol. `:N` is the share of trades concerned (0.3, 0.2, 0.05). Every real trade is still sent.
 *
 * The first four lines also hold for REST, unless they have the prefix `ws-`: then REST works.
 */
export class Misbehaviour {
  /** The modes as they were given. */
  readonly modes: readonly string[]
  readonly #outages: Readonly<Record<Side, Outage | undefined>>
  readonly #shares = new Map<Distortion, number>()
  /** Seconds that a WebSocket lives, under `drop:N`. */
  readonly cutSeconds: number | undefined

  /** Raises USAGE for a mode that does not exist or a number that makes no sense. */
  constructor(modes: readonly string[]) {
    this.modes = modes
    const outages: { name: Outage; websocketOnly: boolean }[] = []
    for (const text of modes) {
      const mode = parseMode(text)
      if (mode.kind === 'distortion') this.#shares.set(mode.name, mode.share)
      else if (mode.kind === 'cut') this.cutSeconds = mode.seconds
      else outages.push(mode)
    }
    const strongest = (among: readonly { name: Outage }[]) =>
      OUTAGES.find((name) => among.some((outage) => outage.name === name))
    this.#outages = {
      websocket: strongest(outages),
      rest: strongest(outages.filter((outage) => !outage.websocketOnly)),
    }
  }

  outage(side: Side): Outage | undefined {
    return this.#outages[side]
  }

  /** The share of trades that a distortion concerns; 0 while it is off. */
  share(name: Distortion): number {
    return this.#shares.get(name) ?? 0
  }

  /** Whether frames go out otherwise than they were made. */
  get distorts(): boolean {
    return this.#shares.size > 0
  }
}

type Mode =
  | { readonly kind: 'outage'; readonly name: Outage; readonly websocketOnly: boolean }
  | { readonly kind: 'cut'; readonly seconds: number }
  | { readonly kind: 'distortion'; readonly name: Distortion; readonly share: number }

const MODE = /^(ws-)?([a-z0-9-]+?)(?::(\d+(?:\.\d+)?))?$/

function parseMode(text: string): Mode {
  const [, prefix, name = '', number] = MODE.exec(text) ?? []
  const value = number === undefined ? undefined : Number(number)
  const distortion = DISTORTIONS.find((known) => known === name)
  if (distortion && prefix === undefined && (value ?? 0) <= 1) {
    return { kind: 'distortion', name: distortion, share: value ?? DEFAULT_SHARES[distortion] }
  }
  if (name === 'drop' && value !== undefined && value > 0) return { kind: 'cut', seconds: value }
  const outage = OUTAGES.find((known) => known === name)
  if (outage && value === undefined)
    return { kind: 'outage', name: outage, websocketOnly: prefix !== undefined }
  throw new TapelineError('USAGE', `${JSON.stringify(text)} is not a misbehaviour of the simulator`, {
    remedy:
      'Modes are drop, stall, close, 401, 429, babble (with ws- in front: WebSocket only), drop:SECONDS, duplicate, out-of-order and garbage (with :SHARE after, at most 1).',
  })
}

/** The modes in a comma-separated list, as `--misbehave` takes it. Raises USAGE. */
export function parseModes(list: string): string[] {
  const modes = list
    .split(',')
    .map((mode) => mode.trim())
    .filter((mode) => mode !== '')
  return [...new Misbehaviour(modes).modes]
}
