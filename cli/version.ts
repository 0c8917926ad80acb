// The version of this build, from package.json. Printed by `culvert version`.
import { readFileSync } from 'node:fs'

const packageFile = new URL('../package.json', import.meta.url)

export const version: string = (JSON.parse(readFileSync(packageFile, 'utf8')) as { readonly version: string }).version
