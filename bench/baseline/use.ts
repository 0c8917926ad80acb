// Preloaded into a daemon (`node --import`), makes it run on the engine of this folder: imports of core/hbone/X from outside of
// core/hbone get bench/baseline/X.ts where there is one. Works in each worker thread too, since Node preloads there again, and in
// a build below dist/ as in the sources: what this folder imports then comes from the same build, so that no module is there twice.
import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'

const here = new URL('./', import.meta.url).href
const root = new URL('../../', import.meta.url).href
const built = /^dist\/[^/]+\//
/** The build that the process runs from, `dist/…/`, or nothing. */
let build = ''

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context)
    if (!resolved.url.startsWith(root)) return resolved
    const path = resolved.url.slice(root.length)
    const parent = (context.parentURL ?? '').slice(root.length)
    build = built.exec(path)?.[0] ?? build
    if (parent.startsWith('bench/baseline/'))
      return path.startsWith('core/') ? at(resolved, shippedPath(path)) : resolved
    const name = path.slice(build.length).replace(/\.js$/, '.ts')
    if (!name.startsWith('core/hbone/') || parent.slice(build.length).startsWith('core/hbone/')) return resolved
    const replacement = new URL(name.slice('core/hbone/'.length), here)
    return existsSync(replacement) ? { ...resolved, url: replacement.href, format: 'module-typescript' } : resolved
  },
})

/** The built form of a source, where the process runs from a build. */
function shippedPath(path: string): string {
  return build === '' ? path : `${build}${path.replace(/\.ts$/, '.js')}`
}

function at<T extends { url: string }>(resolved: T, path: string): T {
  const url = `${root}${path}`
  return url === resolved.url ? resolved : { ...resolved, url, format: 'module' }
}
