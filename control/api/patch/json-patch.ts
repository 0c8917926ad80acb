// JSON patch (RFC 6902): how `kubectl patch --type json` and controllers change single places of an object. Pure;
// write-requests.ts calls it. Messages are those of the library that kube-apiserver uses.
import { isDeepStrictEqual } from 'node:util'
import { isObject } from '../../../core/model/field-check.ts'
import { ApiError } from '../errors.ts'

export const maxOperations = 10_000

/** JSON characters that all `copy` operations of one patch may add, as in kube-apiserver. */
export const maxCopied = 3 * 1024 * 1024

interface Operation {
  readonly op: string
  readonly path: readonly string[]
  readonly pathText: string
  readonly from?: readonly string[]
  readonly fromText?: string
  readonly value?: unknown
}

type Container = Record<string, unknown> | unknown[]

/**
 * The document with every operation applied, or an error and nothing. Throws BadRequest (not a patch), RequestEntityTooLarge
 * (too many operations, too much copied), Invalid (an operation does not fit the document; a failed test).
 */
export function jsonPatch(document: unknown, patch: unknown): unknown {
  const operations = readOperations(patch)
  const run = new Run(document)
  try {
    for (const operation of operations) run.apply(operation)
  } catch (error: unknown) {
    // copies of a value into itself double its depth, and cloning recurses
    if (error instanceof RangeError) throw rejected('the document would be nested too deeply')
    throw error
  }
  return run.document
}

function readOperations(patch: unknown): readonly Operation[] {
  if (!Array.isArray(patch)) throw new ApiError('BadRequest', 'a JSON patch must be a list of operations')
  if (patch.length > maxOperations) {
    const message = `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`
    throw new ApiError('RequestEntityTooLarge', message)
  }
  return patch.map(readOperation)
}

const withValue = ['add', 'replace', 'test']
const withFrom = ['move', 'copy']

function readOperation(raw: unknown, index: number): Operation {
  const wrong = (what: string): ApiError => new ApiError('BadRequest', `operation ${index} of the JSON patch ${what}`)
  if (!isObject(raw)) throw wrong('must be an object')
  const { op, path, from } = raw
  if (typeof op !== 'string' || ![...withValue, ...withFrom, 'remove'].includes(op))
    throw wrong(`has op ${JSON.stringify(op)}: add, remove, replace, move, copy and test are known`)
  if (typeof path !== 'string') throw wrong('must have a path')
  const target = pointer(path)
  if (target === undefined) throw wrong(`has the path "${path}", which is not a JSON pointer: start it with "/"`)
  const head = { op, path: target, pathText: path }
  if (withValue.includes(op)) {
    if (!Object.hasOwn(raw, 'value')) throw wrong('must have a value')
    return { ...head, value: raw['value'] }
  }
  if (op === 'remove') return head
  const source = typeof from === 'string' ? pointer(from) : undefined
  if (typeof from !== 'string' || source === undefined) throw wrong('must have a JSON pointer in from')
  return { ...head, from: source, fromText: from }
}

/** The parts of an RFC 6901 pointer. */
function pointer(text: string): readonly string[] | undefined {
  if (text === '') return []
  if (!text.startsWith('/')) return undefined
  const parts = text.slice(1).split('/')
  if (parts.some((part) => /~(?![01])/.test(part))) return undefined
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

class Run {
  #root: { document: unknown }
  #copied = 0

  constructor(document: unknown) {
    this.#root = { document: structuredClone(document) }
  }

  get document(): unknown {
    return this.#root.document
  }

  apply({ op, path, pathText, from = [], fromText = '', value }: Operation): void {
    if (op === 'test') this.#test(path, pathText, value)
    else if (op === 'remove') this.#remove(path, `remove operation does not apply: doc is missing path: "${pathText}"`)
    else if (op === 'replace') {
      this.#get(path, `replace operation does not apply: doc is missing path: ${pathText}`)
      this.#set(path, structuredClone(value), pathText, false)
    } else if (op === 'add') this.#set(path, structuredClone(value), pathText, true)
    else {
      const found = this.#get(from, `${op} operation does not apply: doc is missing from path: ${fromText}`)
      if (op === 'copy') {
        this.#set(path, this.#copy(found), pathText, true)
        return
      }
      if (path.length > from.length && from.every((part, index) => part === path[index])) {
        throw rejected(`move operation does not apply: "${fromText}" cannot be moved into itself`)
      }
      this.#remove(from, `move operation does not apply: doc is missing from path: ${fromText}`)
      this.#set(path, found, pathText, true)
    }
  }

  #test(path: readonly string[], pathText: string, value: unknown): void {
    const found = this.#find(path)
    // a missing value passes for null, as in kube-apiserver
    const same = found === undefined ? value === null : isDeepStrictEqual(found, value)
    if (!same) throw rejected(`testing value ${pathText} failed: test failed`)
  }

  #copy(value: unknown): unknown {
    this.#copied += (JSON.stringify(value) ?? '').length
    if (this.#copied > maxCopied) {
      const message = `the copy operations of a JSON patch may add ${maxCopied} characters at most`
      throw new ApiError('RequestEntityTooLarge', message)
    }
    return structuredClone(value)
  }

  #find(path: readonly string[]): unknown {
    let value: unknown = this.#root.document
    for (const part of path) {
      if (Array.isArray(value)) value = isIndex(part) ? value[Number(part)] : undefined
      else if (isObject(value) && Object.hasOwn(value, part)) value = value[part]
      else return undefined
    }
    return value
  }

  #get(path: readonly string[], missing: string): unknown {
    const found = this.#find(path)
    if (found === undefined) throw rejected(`${missing}: missing value`)
    return found
  }

  /** What holds the last part of the path, and that part. */
  #parent(path: readonly string[], missing: string): { holder: Container; key: string } {
    if (path.length === 0) return { holder: this.#root, key: 'document' }
    const holder = this.#find(path.slice(0, -1))
    if (!isObject(holder) && !Array.isArray(holder)) throw rejected(`${missing}: missing value`)
    return { holder: holder as Container, key: path.at(-1)! }
  }

  #set(path: readonly string[], value: unknown, pathText: string, insert: boolean): void {
    const missing = `${insert ? 'add' : 'replace'} operation does not apply: doc is missing path: "${pathText}"`
    const { holder, key } = this.#parent(path, missing)
    if (!Array.isArray(holder)) {
      define(holder, key, value)
      return
    }
    const index = key === '-' ? holder.length : Number(key)
    if ((key !== '-' && !isIndex(key)) || index > holder.length)
      throw rejected(`${missing}: Unable to access invalid index: ${key}`)
    holder.splice(index, insert ? 0 : 1, value)
  }

  #remove(path: readonly string[], missing: string): void {
    this.#get(path, missing)
    const { holder, key } = this.#parent(path, missing)
    if (Array.isArray(holder)) holder.splice(Number(key), 1)
    else delete holder[key]
  }
}

/** Also for `__proto__`, which a plain assignment would swallow. */
function define(holder: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true })
}

function isIndex(part: string): boolean {
  return /^(0|[1-9]\d{0,8})$/.test(part)
}

/** 422 as kube-apiserver words it, and what it keeps to itself. */
function rejected(why: string): ApiError {
  return new ApiError('Invalid', `the server rejected our request due to an error in our request: ${why}`)
}
