const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * A ULID in lower case: 48 bits of milliseconds, then 80 random bits; sorts by time.
 * Source: https://github.com/ulid/spec. `random` gives numbers in [0, 1).
 */
export function ulid(millis: number, random: () => number): string {
  let time = ''
  for (let rest = millis, i = 0; i < 10; i++) {
    time = ALPHABET[rest % 32] + time
    rest = Math.floor(rest / 32)
  }
  let noise = ''
  for (let i = 0; i < 16; i++) noise += ALPHABET[Math.floor(random() * 32)]
  return time + noise
}
