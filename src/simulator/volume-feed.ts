import { SharedFeed } from './feed.ts'
import { jsonFrame } from './frame.ts'

/** TYPE 11 and 21 differ in the name of their one field. */
const FIELDS = { '11': 'FULLVOLUME', '21': 'TOPTIERFULLVOLUME' } as const
export type VolumeType = keyof typeof FIELDS

/** TYPE 11 and 21: what was traded of a coin in 24 hours, over all its markets, as a text. */
export class VolumeFeed extends SharedFeed {
  readonly #type: VolumeType
  readonly #base: string
  readonly #volume: () => number
  #sent = ''

  constructor(type: VolumeType, base: string, volume: () => number) {
    super()
    this.#type = type
    this.#base = base
    this.#volume = volume
  }

  first(): string {
    if (!this.subscribed) this.#sent = this.#text()
    return this.#frame()
  }

  update(): string {
    const now = this.#text()
    if (now === this.#sent) return ''
    this.#sent = now
    return this.#frame()
  }

  #text(): string {
    return this.#volume().toFixed(8)
  }

  #frame(): string {
    return jsonFrame({ TYPE: this.#type, SYMBOL: this.#base, [FIELDS[this.#type]]: this.#sent })
  }
}
