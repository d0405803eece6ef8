/** The files of `npm test` that take longest: begun last they would keep one core busy while the other has nothing to do. */
export const LONGEST: readonly string[] = [
  'test/world/world.test.ts',
  'test/cli/together.ts',
  'test/adapters/broker/together.ts',
  'test/adapters/store/embedded-candles.test.ts',
  'test/adapters/store/embedded-schema.test.ts',
  'test/adapters/source/together.ts',
  'test/gateway/together.ts',
  'test/services/producer/together.ts',
]

/** The files of a run, those that take longest in front of the others, which stay in their order. */
export function longestFirst(files: readonly string[]): readonly string[] {
  const place = (file: string): number => {
    const at = LONGEST.indexOf(file)
    return at < 0 ? LONGEST.length : at
  }
  return files.toSorted((a, b) => place(a) - place(b))
}
