const TEXT = '\x81'
const BINARY = '\x82'

/** Headers of the lengths that trades have, made once. */
const headers: string[] = []

/**
 * One unmasked WebSocket text frame as a string of bytes (latin1), so that a whole tick becomes one write. `json` is
 * ASCII only. Source: RFC 6455, section 5.2.
 */
export function textFrame(json: string): string {
  const length = json.length
  if (length >= 1024) return header(TEXT, length) + json
  let made = headers[length]
  if (made === undefined) {
    made = header(TEXT, length)
    headers[length] = made
  }
  return made + json
}

/** One unmasked WebSocket binary frame; each char of `bytes` is a byte. */
export function binaryFrame(bytes: string): string {
  return header(BINARY, bytes.length) + bytes
}

/** A message as a text frame. */
export function jsonFrame(message: object): string {
  return jsonTextFrame(JSON.stringify(message))
}

/** A JSON text as a text frame. What is not ASCII (an echoed parameter) is escaped. */
export function jsonTextFrame(json: string): string {
  return textFrame(
    json.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`),
  )
}

function header(kind: string, length: number): string {
  if (length < 126) return kind + String.fromCharCode(length)
  if (length < 2 ** 16) return kind + String.fromCharCode(126, length >>> 8, length & 0xff)
  const bytes = [0, 0, 0, 0, length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff]
  return kind + String.fromCharCode(127, ...bytes)
}
