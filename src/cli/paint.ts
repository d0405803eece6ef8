import { styleText } from 'node:util'

/** What a piece of text stands out by. */
export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/** A piece of text that stands out where the terminal can show it; elsewhere it is the text alone. */
export interface Painted {
  readonly text: string
  readonly style: Style
}

export function painted(style: Style, text: string): Painted {
  return { style, text }
}

/**
 * A line of pieces as a stream shows it: plain where it is no terminal, or NO_COLOR is set. `shown` makes each text safe first, so that
 * no colour comes from data.
 */
export function paint(
  texts: readonly (string | Painted)[],
  stream: NodeJS.WritableStream,
  shown: (text: string) => string,
): string {
  return texts
    .map((text) =>
      typeof text === 'string' ? shown(text) : styleText(text.style, shown(text.text), { stream }),
    )
    .join('')
}
