/** Source of the format: https://kafka.apache.org/documentation/#recordbatch */
const AT = { length: 8, leaderEpoch: 12, head: 61 } as const
/** Older ones tell little: a log that loses more than what so many leaders wrote is found step by step. */
const MOST_EPOCHS = 32

/** The end of an epoch in the log of the present leader, of the largest epoch that is not above the one that was asked for. */
export interface EpochEnd {
  readonly epoch: number
  readonly endOffset: number
}

/**
 * Under which leaders the records were written that a reader has fetched from a partition: by epoch, where each begins. A log
 * that lost its end and grew again differs from there on, although its offsets look the same.
 * Source: https://cwiki.apache.org/confluence/display/KAFKA/KIP-320
 */
export class LeaderEpochs {
  #begins: { readonly epoch: number; readonly offset: number }[] = []

  /** That of the last record; -1 where none was fetched. */
  get last(): number {
    return this.#begins.at(-1)?.epoch ?? -1
  }

  /** Takes note of batches; the last one may be cut off. */
  follow(bytes: Buffer): void {
    for (let at = 0; bytes.length - at >= AT.head; ) {
      const end = at + AT.leaderEpoch + bytes.readInt32BE(at + AT.length)
      // A length that is damaged is for who decodes the batch to tell.
      if (end > bytes.length || end < at + AT.head) return
      const epoch = bytes.readInt32BE(at + AT.leaderEpoch)
      if (epoch > this.last) this.#begins.push({ epoch, offset: Number(bytes.readBigInt64BE(at)) })
      at = end
    }
    if (this.#begins.length > MOST_EPOCHS) this.#begins.splice(0, this.#begins.length - MOST_EPOCHS)
  }

  /** The first offset at which the leader's log holds something else than what was fetched; undefined where it is the same. */
  divergence({ epoch, endOffset }: EpochEnd, position: number): number | undefined {
    if (epoch < 0 || endOffset < 0) return undefined
    if (epoch >= this.last && endOffset >= position) return undefined
    const own = this.#begins.find((begin) => begin.epoch > epoch)?.offset ?? position
    return Math.min(own, endOffset)
  }

  /** Forgets what was fetched from an offset on. */
  cut(offset: number): void {
    this.#begins = this.#begins.filter((begin) => begin.offset < offset)
  }
}
