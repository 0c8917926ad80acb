// Preloaded into a daemon (`node --import`), makes it run on the engine of this folder: imports of core/hbone/X.ts from outside of
// core/hbone get bench/baseline/X.ts where there is one. Works in each worker thread too, since Node preloads there again.
import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'

const here = new URL('./', import.meta.url).href
const engine = new URL('../../core/hbone/', import.meta.url).href

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context)
    const parent = context.parentURL ?? ''
    if (!resolved.url.startsWith(engine) || parent.startsWith(engine) || parent.startsWith(here)) return resolved
    const replacement = new URL(resolved.url.slice(engine.length), here)
    return existsSync(replacement) ? { ...resolved, url: replacement.href } : resolved
  },
})
