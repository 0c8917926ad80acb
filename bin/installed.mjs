// Says whether node_modules holds what package-lock.json asks for on this machine: prints `all`, `production` or `no`.
// Plain JavaScript, because it may run on the Node that the machine came with. bin/bootstrap.sh calls it.
import { existsSync, readFileSync } from 'node:fs'

const root = process.argv[2] ?? '.'

function packagesOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages ?? {}
}

/** npm leaves optional packages out that are for another system. */
function isForHere(entry) {
  const allows = (list, value) => list === undefined || [list].flat().includes(value)
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch)
}

function verdict() {
  const installed = packagesOf(`${root}/node_modules/.package-lock.json`)
  let answer = 'all'
  for (const [path, wanted] of Object.entries(packagesOf(`${root}/package-lock.json`))) {
    if (path === '' || !isForHere(wanted)) continue
    const found = installed[path]
    const fits = found !== undefined && found.version === wanted.version && existsSync(`${root}/${path}`)
    if (fits) continue
    if (found !== undefined || !(wanted.dev || wanted.devOptional)) return 'no'
    if (!wanted.optional) answer = 'production'
  }
  return answer
}

try {
  console.log(verdict())
} catch {
  console.log('no')
}
