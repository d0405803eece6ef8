import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.ts'

/** A wait that lasts longer than this, in ms, fails the test. */
const PATIENCE = 20_000

export type Message = Record<string, unknown>

/** A plain client of the service: an ordinary WebSocket that keeps everything it receives. */
export class Client {
  readonly websocket: WebSocket
  /** Frames as texts, in order; binary ones as `<binary>`. */
  readonly frames: string[] = []
  /** Those of them that are JSON objects. */
  readonly messages: Message[] = []
  closeCode: number | undefined
  readonly #changed = new Set<() => void>()

  constructor(url: string, headers: Record<string, string> = {}) {
    this.websocket = new WebSocket(url, { headers })
    this.websocket.on('message', (data, binary) => {
      const text = binary ? '<binary>' : String(data)
      this.frames.push(text)
      const message = binary ? undefined : parseObject(text)
      if (message) this.messages.push(message)
      this.#wake()
    })
    this.websocket.on('close', (code) => {
      this.closeCode = code
      this.#wake()
    })
    this.websocket.on('error', () => this.#wake())
  }

  static async open(t: TestContext, simulator: Simulator): Promise<Client> {
    const client = new Client(`${simulator.websocketUrl}?api_key=test`)
    t.after(() => client.websocket.terminate())
    await once(client.websocket, 'open')
    return client
  }

  send(message: unknown): void {
    this.websocket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  add(...subs: string[]): void {
    this.send({ action: 'SubAdd', subs })
  }

  remove(...subs: string[]): void {
    this.send({ action: 'SubRemove', subs })
  }

  of(type: string | number): Message[] {
    return this.messages.filter((message) => message['TYPE'] === type)
  }

  /** Trades received, of one market if it is named (`Coinbase~BTC~USD`). */
  trades(market?: string): Message[] {
    return this.of('0').filter((trade) => market === undefined || market === marketOf(trade))
  }

  /** Waits until a condition holds, looking again after each frame. */
  async until(what: string, holds: () => boolean): Promise<void> {
    if (holds()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = () => {
      if (holds()) resolve()
    }
    this.#changed.add(look)
    const deadline = setTimeout(() => {
      const last = this.frames.slice(-3).join('\n')
      reject(new Error(`waited in vain for ${what}; ${this.frames.length} frames, the last:\n${last}`))
    }, PATIENCE)
    try {
      await promise
    } finally {
      clearTimeout(deadline)
      this.#changed.delete(look)
    }
  }

  async message(type: string | number): Promise<Message> {
    await this.until(`a message of TYPE ${type}`, () => this.of(type).length > 0)
    return this.of(type)[0] as Message
  }

  /** Waits until everything that was sent before has arrived: until the answer to a question asked now. */
  async settled(): Promise<void> {
    const question = `settled ${this.frames.length}`
    this.remove(question)
    await this.until('an answer', () => this.of('500').some((error) => error['PARAMETER'] === question))
  }

  async ended(): Promise<number> {
    await this.until('the end of the connection', () => this.closeCode !== undefined)
    return this.closeCode as number
  }

  #wake(): void {
    for (const look of this.#changed) look()
  }
}

/** `Coinbase~BTC~USD` of a trade. */
export function marketOf(trade: Message): string {
  return `${trade['M']}~${trade['FSYM']}~${trade['TSYM']}`
}

/** Starts a simulator that ends with the test. */
export async function simulate(t: TestContext, options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator(options)
  t.after(() => simulator.close())
  return simulator
}

/** A path in a folder that goes with the test. */
export async function temporaryFile(t: TestContext, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-simulator-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, name)
}

export interface LedgerLine {
  readonly exchange: string
  readonly symbol: string
  readonly id: string
  readonly side: string
  readonly price: number
  readonly size: number
  readonly ts: number
}

export async function readLedger(path: string): Promise<LedgerLine[]> {
  const text = await readFile(path, 'utf8')
  assert.ok(text === '' || text.endsWith('\n'), 'the ledger ends in the middle of a line')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LedgerLine)
}

/** A received trade in the form of the ledger, made as the data contract says. */
export function asLedgerLine(trade: Message): LedgerLine {
  const sides: Record<string, string> = { '1': 'sell', '2': 'buy', '4': 'unknown' }
  return {
    exchange: String(trade['M']).toLowerCase(),
    symbol: `${trade['FSYM']}-${trade['TSYM']}`,
    id: trade['ID'] as string,
    side: sides[trade['F'] as string] ?? `F ${trade['F']}`,
    price: trade['P'] as number,
    size: trade['Q'] as number,
    ts: (trade['TS'] as number) * 1_000_000 + (trade['TSNS'] as number) / 1000,
  }
}

/** Calls REST with a key and gives status, headers and body. */
export async function call(
  simulator: Simulator,
  path: string,
  init: RequestInit = { headers: { authorization: 'Apikey test' } },
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const response = await fetch(`${simulator.url}${path}`, { ...init, signal: AbortSignal.timeout(PATIENCE) })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}

function parseObject(text: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Message)
      : undefined
  } catch {
    return undefined
  }
}
