import { Writable } from 'node:stream'
import type { Terminal } from '../../src/cli/command.ts'
import type { Painted } from '../../src/cli/paint.ts'

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
    columns: undefined,
    stdout: new Writable({ write: (_chunk, _encoding, done) => done() }),
    print: (...texts) => printed.push(...textOf(texts).split('\n')),
    printLines: async (lines) => void printed.push(...lines),
    note: (...texts) => noted.push(textOf(texts)),
    interrupt: () => stop.abort(),
  }
}

function textOf(texts: readonly (string | Painted)[]): string {
  return texts.map((part) => (typeof part === 'string' ? part : part.text)).join('')
}
