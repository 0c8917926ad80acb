// The line that makes `culvert` a command of the user's shell: the hints of lab and demo say `culvert`, a fresh clone has only
// ./bin/culvert.
import { accessSync, constants, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** One line to type, or none where `culvert` is found already. */
export function pathHint(path = process.env['PATH'] ?? ''): readonly string[] {
  const found = path.split(delimiter).some((folder) => folder !== '' && isProgram(join(folder, 'culvert')))
  if (found) return []
  const bin = realpathSync(fileURLToPath(new URL('../bin', import.meta.url)))
  return [`export PATH=${bin}:$PATH                  # makes culvert a command of this shell`]
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
