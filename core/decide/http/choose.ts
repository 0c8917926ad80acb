// Which of the weighted destinations of a rule gets a request. Pure; the random number is the caller's.

/** Running sums of the weights; the last one is the total. */
export function sumsOf(weights: readonly number[]): readonly number[] {
  let sum = 0
  return weights.map((weight) => {
    sum += weight
    return sum
  })
}

/**
 * @param random in [0, 1)
 * @returns an index in proportion to the weights; -1 where all are 0 or there are none
 */
export function choose(sums: readonly number[], random: number): number {
  const total = sums.length === 0 ? 0 : sums[sums.length - 1]!
  if (total === 0) return -1
  if (sums.length === 1) return 0
  const drawn = random * total
  for (let index = 0; index < sums.length; index++) if (sums[index]! > drawn) return index
  return sums.length - 1
}
