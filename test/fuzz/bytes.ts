// Arbitraries for bytes that are almost right: what is valid, cut, swapped and changed. Used by every target.
import fc from 'fast-check'

export type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly value: number }
  | { readonly kind: 'cut'; readonly at: number; readonly length: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number; readonly times: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }

const at = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

/** Places are parts of the whole, so that they fit any length. */
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at, bit: fc.integer({ min: 0, max: 7 }) }),
  fc.record({ kind: fc.constant('set' as const), at, value: fc.constantFrom(0, 1, 0x7f, 0x80, 0xc0, 0xfe, 0xff) }),
  fc.record({ kind: fc.constant('cut' as const), at, length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({
    kind: fc.constant('repeat' as const),
    at,
    length: fc.integer({ min: 1, max: 60 }),
    times: fc.integer({ min: 1, max: 30 }),
  }),
  fc.record({ kind: fc.constant('insert' as const), at, bytes: fc.uint8Array({ maxLength: 30 }) }),
)

export const mutations = fc.array(mutation, { maxLength: 6 })

export function mutated(bytes: Buffer, changes: readonly Mutation[]): Buffer {
  return changes.reduce((before: Buffer, change) => changed(before, change), bytes)
}

function changed(before: Buffer, change: Mutation): Buffer {
  const place = Math.floor(change.at * before.length)
  const head = before.subarray(0, place)
  const rest = before.subarray(place)
  switch (change.kind) {
    case 'flip':
    case 'set': {
      const copy = Buffer.from(before)
      if (place < copy.length) copy[place] = change.kind === 'set' ? change.value : copy[place]! ^ (1 << change.bit)
      return copy
    }
    case 'cut':
      return Buffer.concat([head, rest.subarray(change.length)])
    case 'repeat':
      return Buffer.concat([head, ...Array.from({ length: change.times }, () => rest.subarray(0, change.length)), rest])
    case 'insert':
      return Buffer.concat([head, change.bytes, rest])
  }
}

/** Cuts into pieces of these sizes, over and over. */
export function pieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const result: Buffer[] = []
  for (let from = 0, turn = 0; from < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? bytes.length
    result.push(bytes.subarray(from, from + size))
    from += size
  }
  return result
}

export const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 })
