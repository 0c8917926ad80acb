// The sources as plain JavaScript below dist/, since Node's own stripping of types at each start costs a process 20-50 MiB for as
// long as it lives and a quarter of a second. bin/culvert runs it where a source changed, `npm run build` always, and the lab
// asks for what it starts.
import { createHash } from 'node:crypto'
import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const rooms = ['agent', 'cli', 'control', 'core', 'daemon', 'lab', 'waypoint'] as const
/** Beside the rooms, by links, because sources name them by relative paths. */
const linked = ['bin', 'examples'] as const
/** Change it whenever the same sources shall be built in another way. */
const format = 1
const keptBuilds = 3

/** What is to be started for a source of `cli` or `lab`: its build, made where it is missing. Throws a system error. */
export function shipped(source: `${'cli' | 'lab'}/${string}.ts`): string {
  const own = fileURLToPath(import.meta.url)
  const root = join(dirname(own), '..')
  // A build starts its own files.
  built ??= own.endsWith('.js') ? root : buildSources(root)
  return join(built, scriptOf(source))
}

/** Everything that a process starts is of one build, whatever happens to the sources meanwhile. */
let built: string | undefined

/** Builds the sources of a clone where there is no build of just these yet. @returns the folder of the build */
export function buildSources(root: string): string {
  const files = rooms.flatMap((room) => globSync(`${room}/**/*.*`, { cwd: root })).sort()
  const texts = new Map([...files, 'package.json'].map((file) => [file, readFileSync(join(root, file))]))
  const name = nameOf(texts)
  const folder = join(root, 'dist', name)
  if (existsSync(folder)) return folder
  const unfinished = join(root, 'dist', `.${name}.${process.pid}`)
  try {
    write(unfinished, texts)
    renameSync(unfinished, folder)
  } catch (error: unknown) {
    rmSync(unfinished, { recursive: true, force: true })
    // Somebody else was faster with the very same.
    if (!existsSync(folder)) throw error
  }
  removeOld(join(root, 'dist'), name)
  return folder
}

/** By content: a build is never changed, so that what runs from it loads the rest of itself from the same sources. */
function nameOf(texts: ReadonlyMap<string, Buffer>): string {
  const hash = createHash('sha256').update(`${format} ${process.version}`)
  for (const [file, text] of texts) hash.update(`\0${file}\0${text.length}\0`).update(text)
  return hash.digest('hex').slice(0, 16)
}

function write(folder: string, texts: ReadonlyMap<string, Buffer>): void {
  for (const [file, text] of texts) {
    const target = join(folder, scriptOf(file))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, file.endsWith('.ts') ? javaScriptOf(text.toString()) : text)
  }
  for (const name of linked) symlinkSync(join('..', '..', name), join(folder, name))
}

function scriptOf(file: string): string {
  return file.replace(/\.ts$/, '.js')
}

/** Lines and columns stay what they were, for the stack traces. Relative paths of imports and of `new URL` follow the files. */
export function javaScriptOf(source: string): string {
  return stripTypeScriptTypes(source).replace(/(['"])(\.{1,2}\/[^'"\n]+)\.ts\1/g, '$1$2.js$1')
}

/** The newest builds stay, and those that something was started from. */
function removeOld(dist: string, current: string): void {
  const builds = readdirSync(dist)
    .filter((name) => /^[0-9a-f]{16}$/.test(name) && name !== current)
    .map((name) => ({ name, builtAt: statSync(join(dist, name)).mtimeMs }))
    .sort((a, b) => b.builtAt - a.builtAt)
  const old = builds.slice(keptBuilds - 1)
  if (old.length === 0) return
  const running = commandLines()
  for (const { name } of old) {
    if (running.some((line) => line.includes(join(dist, name)))) continue
    rmSync(join(dist, name), { recursive: true, force: true })
  }
}

function commandLines(): readonly string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
    } catch {
      return [] // it ended
    }
  })
}

/** For bin/bootstrap.sh: the name of the build, also in dist/current, which is as old as what it was made from may be. */
function main(): void {
  const root = join(dirname(fileURLToPath(import.meta.url)), '..')
  const startedAt = new Date(Date.now() - 1000)
  const name = buildSources(root).slice(-16)
  const current = join(root, 'dist', 'current')
  try {
    writeFileSync(`${current}.${process.pid}`, `${name}\n`)
    utimesSync(`${current}.${process.pid}`, startedAt, startedAt)
    renameSync(`${current}.${process.pid}`, current)
  } catch {
    // Not ours to write: the build is there all the same.
  }
  process.stdout.write(`${name}\n`)
}

if (import.meta.main) main()
