import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

const LEVEL_STYLES: Record<string, Style> = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red' }

/** A JSON log line as one readable line: time, level, message, then the fields; an error's stack on lines of its own. */
export function prettyLine(line: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  const name = String(level)
  const words = [
    paint('gray', String(time).slice(11, 23)),
    paint(LEVEL_STYLES[name] ?? 'white', name.toUpperCase().padEnd(5)),
    String(msg ?? ''),
    ...Object.entries(fields).map(([field, value]) => paint('gray', `${field}=${shown(value)}`)),
  ]
  const stack = isError(err) ? `\n${indented(err.stack ?? `${err.type}: ${err.message}`)}` : ''
  return `${words.join(' ')}${stack}\n`
}

/** Colours are left out where standard error is no terminal, or NO_COLOR is set. */
function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stderr })
}

function shown(value: unknown): string {
  return typeof value === 'string' && !/[\s"]/.test(value) ? value : JSON.stringify(value)
}

function indented(text: string): string {
  return text.replace(/^/gm, '    ')
}

function isError(value: unknown): value is { type: string; message: string; stack?: string } {
  return typeof value === 'object' && value !== null && 'message' in value
}
