// MurmurHash3, the 32-bit variant: the hash of consistent hashing, the same in every replica. Not for anything that an attacker
// must not steer.

/** @returns unsigned 32 bits of the text's UTF-8 */
export function hash32(text: string, seed = 0): number {
  const bytes = Buffer.from(text, 'utf8')
  const whole = bytes.length & ~3
  let hash = seed | 0
  for (let at = 0; at < whole; at += 4) {
    hash ^= scramble(bytes.readInt32LE(at))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = bytes.length - 1; at >= whole; at -= 1) tail = (tail << 8) | bytes[at]!
  if (whole < bytes.length) hash ^= scramble(tail)
  return mix(hash ^ bytes.length)
}

function scramble(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/** The finaliser: spreads a hash anew, unsigned 32 bits. */
export function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
