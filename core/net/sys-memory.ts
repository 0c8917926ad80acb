// Memory that a process can give back to the system. Called by the processes once they stand, and when they have become quiet.
import { readFileSync } from 'node:fs'
import { calls, mallocTrim, numbers } from './sys-calls.ts'

export interface Mapping {
  readonly start: bigint
  readonly bytes: bigint
}

/**
 * The mappings of `file` in a text of /proc/PID/smaps that hold nothing but pages of the file: read-only, and none of their
 * pages was ever written to. Pure.
 */
export function unchangedMappings(smaps: string, file: string): readonly Mapping[] {
  const found: Mapping[] = []
  let current: Mapping | undefined
  for (const line of smaps.split('\n')) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [0-9a-f]+ \S+ [1-9]\d*\s+(.+)$/.exec(line)
    if (header !== null) {
      const start = BigInt(`0x${header[1]}`)
      current = header[3] === file ? { start, bytes: BigInt(`0x${header[2]}`) - start } : undefined
    } else if (/^[0-9a-f]+-/.test(line)) current = undefined
    else if (current !== undefined && /^Anonymous:\s+0 kB$/.test(line)) {
      found.push(current)
      current = undefined
    }
  }
  return found
}

/**
 * Gives back the pages of Node's own binary, a third of which only a start needs (parsers, compilers, the snapshot). What is
 * needed again comes back from the page cache at the first touch, so that nothing can go wrong; other processes keep theirs.
 * What the allocator of the C library holds for later goes too.
 */
export function giveBackMemory(): void {
  try {
    for (const { start, bytes } of unchangedMappings(readFileSync('/proc/self/smaps', 'utf8'), process.execPath)) {
      calls.madvise(start, bytes, numbers.MADV_DONTNEED)
    }
  } catch {
    // Without /proc the pages stay.
  }
  mallocTrim?.(0)
}
