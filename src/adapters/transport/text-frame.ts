/** The last fragment of a text. Source: RFC 6455, section 5.2. */
const WHOLE_TEXT = 0x81
/** Lengths that one byte tells, and what stands there instead of longer ones. */
const LONGEST_SHORT = 125
const IN_TWO_BYTES = 126
const IN_EIGHT_BYTES = 127

/** A text as one frame of a server, ready for any number of WebSockets without extensions. */
export function textFrame(text: Uint8Array): Buffer {
  const { length } = text
  const headLength = length <= LONGEST_SHORT ? 2 : length < 2 ** 16 ? 4 : 10
  const frame = Buffer.allocUnsafe(headLength + length)
  frame[0] = WHOLE_TEXT
  if (headLength === 2) frame[1] = length
  else if (headLength === 4) {
    frame[1] = IN_TWO_BYTES
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = IN_EIGHT_BYTES
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  frame.set(text, headLength)
  return frame
}
