import type { Terminal } from '../../src/cli/command.ts'

/** A terminal that keeps what is written to it. */
export interface RecordingTerminal extends Terminal {
  /** Lines of standard output. */
  readonly printed: string[]
  /** Texts of standard error. */
  readonly noted: string[]
  /** Ctrl-C. */
  interrupt(): void
}

export function recordingTerminal(): RecordingTerminal {
  const stop = new AbortController()
  const printed: string[] = []
  const noted: string[] = []
  return {
    printed,
    noted,
    signal: stop.signal,
    print: (text) => printed.push(...text.split('\n')),
    note: (text) => noted.push(text),
    interrupt: () => stop.abort(),
  }
}
