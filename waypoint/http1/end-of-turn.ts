// What was written while one event was handled leaves in one write when that is done: a head with its body, pipelined answers. Never
// later, so that a stream of small events is as prompt as it came. Used by both ends of HTTP/1.1.

export interface Flushed {
  flush(): void
}

let waiting: Flushed[] = []

/** `flush` is called once the event under way, and all promises that it settled, are done. */
export function flushAtEndOfTurn(flushed: Flushed): void {
  if (waiting.push(flushed) === 1) process.nextTick(flushAll)
}

function flushAll(): void {
  const all = waiting
  waiting = []
  for (const flushed of all) flushed.flush()
}
