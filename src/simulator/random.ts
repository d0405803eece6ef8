/** Uniform numbers in [0, 1). */
export type Random = () => number

/**
 * The finaliser of MurmurHash3: every bit of the result depends on every bit of the word.
 * Source: https://github.com/aappleby/smhasher/wiki/MurmurHash3 (fmix32).
 */
export function mix32(word: number): number {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) | 0
}

/** A 32-bit word that stands for a text. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mix32(hash)
}

/**
 * A generator that gives the same numbers for the same text: sfc32 (128 bits of state, passes PractRand).
 * Source: Chris Doty-Humphrey, https://pracrand.sourceforge.net.
 */
export function seededRandom(text: string): Random {
  let a = hashText(text)
  let b = mix32(a ^ 0x9e3779b9)
  let c = mix32(b ^ 0x243f6a88)
  let counter = 1
  const random = () => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 12; i++) random()
  return random
}

/** An exponentially distributed number with mean 1. */
export function exponential(random: Random): number {
  return -Math.log(1 - random())
}

/** A normally distributed number with mean 0 and variance 1 (Box and Muller). */
export function gaussian(random: Random): number {
  return Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * random())
}
