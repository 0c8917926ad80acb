// What JSON.parse lets through and a resource must not have: a key twice in one object, of which the last would silently win, and
// nesting so deep that walking it would overflow the stack.

/** A token that matters here: a string, or a bracket, colon or comma. Numbers and words lie between. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]/g

const maxDepth = 200

/** What is wrong with a text that JSON.parse accepts; undefined where nothing is. */
export function jsonProblem(text: string): string | undefined {
  // a set of keys for an open object, undefined for an open list
  const open: (Set<string> | undefined)[] = []
  let last = ''
  for (const [found] of text.matchAll(token)) {
    if (found === '{' || found === '[') {
      if (open.push(found === '{' ? new Set() : undefined) > maxDepth)
        return `is nested more than ${maxDepth} levels deep`
    } else if (found === '}' || found === ']') open.pop()
    else if (found === ':') {
      const keys = open.at(-1)!
      const key = JSON.parse(last) as string
      if (keys.has(key)) return `has the key "${key}" twice in one object`
      keys.add(key)
    } else if (found !== ',') last = found
  }
  return undefined
}
