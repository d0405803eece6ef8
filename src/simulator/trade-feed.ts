import { SharedFeed } from './feed.ts'

/** So many trades are sent again on each subscribe. */
const REPEATED = 20

/** TYPE 0 of one market. Trades are broadcast as they are made; a new subscriber first gets the last 20 again. */
export class TradeFeed extends SharedFeed {
  #recent: string[] = []

  /** Keeps a trade for those who subscribe later, in the order of making. */
  remember(frame: string): void {
    this.#recent.push(frame)
    if (this.#recent.length >= 8 * REPEATED) this.#recent = this.#recent.slice(-REPEATED)
  }

  first(): string {
    return this.#recent.slice(-REPEATED).join('')
  }

  update(): string {
    return ''
  }
}
