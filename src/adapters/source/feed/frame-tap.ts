/** Hears of all that goes over the connections of a source, at the place where it happens. Times are microseconds. */
export interface FrameTap {
  opened(ts: number): void
  received(data: Buffer, ts: number): void
  sent(frame: string, ts: number): void
  /** The body of an answer by REST, which a book begins with. */
  answered(url: string, body: string, ts: number): void
  closed(ts: number): void
}
