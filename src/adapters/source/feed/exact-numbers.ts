import type { Trade } from '../../../domain/events.ts'

/** A double keeps every decimal number of so many characters, with its dot. */
const MOST_KEPT = 16

/**
 * The price and the size of a trade as they were sent, each where a double has another value (R15): most trades have neither. What was sent is
 * decimal text; a JSON number that a double holds is kept by it.
 */
export function exactTexts(
  price: unknown,
  size: unknown,
  read: { readonly price: number; readonly size: number },
): Pick<Trade, 'priceText' | 'sizeText'> {
  const isShort = (value: unknown) => typeof value !== 'string' || value.length <= MOST_KEPT
  if (isShort(price) && isShort(size)) return {}
  const [priceText, sizeText] = [exactText(price, read.price), exactText(size, read.size)]
  return { ...(priceText !== undefined && { priceText }), ...(sizeText !== undefined && { sizeText }) }
}

function exactText(sent: unknown, read: number): string | undefined {
  return typeof sent === 'string' && canonical(sent) !== canonical(String(read)) ? sent : undefined
}

/** The value of decimal text, written in one way: its digits without zeros at both ends, and the power of ten of the last one. */
function canonical(decimal: string): string {
  const [mantissa = '', exponent = '0'] = decimal.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const digits = (whole + fraction).replace(/^(-?)0+/, '$1')
  const kept = digits.replace(/0+$/, '')
  return `${kept}e${Number(exponent) - fraction.length + digits.length - kept.length}`
}

const PLAIN = /^(\d{1,40})(?:\.(\d{1,40}))?$/

/** The sum of numbers in decimal text, with all of its digits; undefined where one is none. */
export function sumOfDecimals(numbers: readonly unknown[]): string | undefined {
  const parts = numbers.map((number) => (typeof number === 'string' ? PLAIN.exec(number) : null))
  const decimals = Math.max(...parts.map((part) => part?.[2]?.length ?? 0))
  let sum = 0n
  for (const part of parts) {
    if (part === null) return undefined
    sum += BigInt((part[1] ?? '') + (part[2] ?? '').padEnd(decimals, '0'))
  }
  const digits = String(sum).padStart(decimals + 1, '0')
  const dot = digits.length - decimals
  return decimals === 0 ? digits : `${digits.slice(0, dot)}.${digits.slice(dot)}`
}
