// Writing DER (ITU-T X.690), only what a certificate request needs. Called by csr.ts.

function length(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.from([bytes])
  const digits: number[] = []
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256)
  return Buffer.from([0x80 | digits.length, ...digits])
}

/** One element: tag, length, contents in order. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const size = contents.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.from([tag]), length(size), ...contents])
}

export function sequence(...contents: readonly Uint8Array[]): Buffer {
  return element(0x30, ...contents)
}

export function set(...contents: readonly Uint8Array[]): Buffer {
  return element(0x31, ...contents)
}

export function octetString(contents: Uint8Array): Buffer {
  return element(0x04, contents)
}

/** A BIT STRING of whole octets. */
export function bitString(contents: Uint8Array): Buffer {
  return element(0x03, Buffer.from([0]), contents)
}

/** A non-negative INTEGER below 128, enough for version numbers. */
export function smallInteger(value: number): Buffer {
  return element(0x02, Buffer.from([value]))
}

export function booleanTrue(): Buffer {
  return element(0x01, Buffer.from([0xff]))
}

/** An OBJECT IDENTIFIER from its dotted text. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return element(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

function base128(arc: number): number[] {
  const digits = [arc % 128]
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift((rest % 128) | 0x80)
  return digits
}
