import { TapelineError } from '../errors.ts'
import type { Broker, TransactionalWriter } from '../ports/broker.ts'
import type { PlatformNames } from './names.ts'
import { CONTROL_VERSION } from './record-format.ts'
import { registryEntry } from './registry-records.ts'

/** The right to write under a transactional id, with the epoch that goes into every record. */
export interface Ownership {
  readonly writer: TransactionalWriter
  /** The offset of the claim in the registry: unique and rising (R8). */
  readonly epoch: number
}

/**
 * Takes over a transactional id and writes a claim under it. The broker refuses every former owner from then on.
 * Raises FENCED where somebody took over in between.
 */
export async function claimOwnership(
  broker: Broker,
  names: PlatformNames,
  transactionalId: string,
  instance: string,
  now: number,
  signal: AbortSignal,
): Promise<Ownership> {
  const writer = await broker.takeOver(transactionalId, signal)
  try {
    return { writer, epoch: await writeClaim(writer, names, transactionalId, instance, now, signal) }
  } catch (error) {
    await writer.close().catch(() => undefined)
    throw error
  }
}

async function writeClaim(
  writer: TransactionalWriter,
  names: PlatformNames,
  transactionalId: string,
  instance: string,
  now: number,
  signal: AbortSignal,
): Promise<number> {
  const claim = registryEntry({
    v: CONTROL_VERSION,
    kind: 'claim',
    instance,
    epoch: -1,
    transactionalId,
    at: now,
  })
  const [ack] = await writer.commit([{ topic: names.registry, partition: 0, records: [claim] }], signal)
  if (ack === undefined)
    throw new TapelineError('INTERNAL', 'the broker acknowledged a claim without its offset')
  return ack.baseOffset
}
