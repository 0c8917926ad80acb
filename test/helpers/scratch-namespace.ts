// A network namespace of a test: made with `ip netns add` under a name of its own, gone at the end of the test. Root only.
import { execFileSync } from 'node:child_process'
import { NetworkNamespace } from '../../core/net/sys.ts'

let count = 0

export interface ScratchNamespace extends Disposable {
  readonly name: string
  readonly path: string
  readonly namespace: NetworkNamespace
  /** Runs a command inside, throws with its stderr where it fails, returns its stdout. */
  exec(command: string, ...args: readonly string[]): string
  /** Feeds text to a command inside. */
  feed(input: string, command: string, ...args: readonly string[]): string
}

/** `lo` is up. Dispose it, or hand its disposal to `t.teardown`. */
export function scratchNamespace(): ScratchNamespace {
  if (process.getuid?.() !== 0) throw new Error('this ring makes network namespaces: run it as root')
  count += 1
  const name = `cvt-${process.pid}-${count}`
  execFileSync('ip', ['netns', 'add', name], { stdio: 'pipe' })
  const path = `/run/netns/${name}`
  const feed = (input: string, command: string, ...args: readonly string[]): string =>
    execFileSync('nsenter', [`--net=${path}`, command, ...args], { encoding: 'utf8', input, stdio: 'pipe' })
  const exec = (command: string, ...args: readonly string[]): string => feed('', command, ...args)
  exec('ip', 'link', 'set', 'lo', 'up')
  const namespace = NetworkNamespace.open(path)
  const dispose = (): void => {
    namespace.close()
    execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' })
  }
  return { name, path, namespace, exec, feed, [Symbol.dispose]: dispose }
}
