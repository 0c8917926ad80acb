// Lists in parts: the revision that a list belongs to, the objects that fit, and the token with which the next part is asked for.
// read-requests.ts calls it.
import { createHash } from 'node:crypto'
import { MeshError } from '../../core/base/errors.ts'
import { isObject } from '../../core/model/field-check.ts'
import type { Kind } from '../../core/model/kinds/kind.ts'
import type { MeshObject, ObjectKey } from '../../core/model/resource.ts'
import type { ListPage, Store } from '../store/store.ts'
import { ApiError, tooLargeRevision } from './errors.ts'
import type { ListOptions } from './list-options.ts'
import type { ListPosition } from './representation.ts'
import { everything, type Predicate } from './selectors.ts'

export interface ListQuery {
  readonly kind: Kind
  readonly namespace?: string
  readonly fits: Predicate
  /** The selectors as they were written: a token is good for the same ones only. */
  readonly selectors: string
  readonly options: ListOptions
}

export interface ListPart {
  readonly items: readonly MeshObject[]
  readonly position: ListPosition
}

/** Objects that the store is asked for at once where a selector leaves some out. */
const chunk = 500

/** Throws BadRequest (a token that is none), Expired (with a token that goes on all the same), Timeout (from the future). */
export async function listPart(store: Store, query: ListQuery): Promise<ListPart> {
  const { kind, namespace, options, fits } = query
  const token = options.continue === undefined ? undefined : readToken(options.continue, query)
  const start = startOf(options, token, query)
  const filter = { group: kind.group, kind: kind.kind, ...(namespace === undefined ? {} : { namespace }) }
  const items: MeshObject[] = []
  let page = start
  for (;;) {
    const limit = options.limit === undefined ? undefined : Math.max(fits === everything ? 0 : chunk, options.limit)
    const part = await readPage(store, filter, { ...page, ...(limit === undefined ? {} : { limit }) }, query)
    checkReached(options, part.revision)
    for (const [index, { object, key }] of part.items.entries()) {
      if (!fits(object)) continue
      items.push(object)
      if (items.length !== options.limit) continue
      const behind = part.items.length - index - 1 + part.remaining
      return { items, position: positionOf(part.revision, query, behind === 0 ? undefined : { key, behind }) }
    }
    if (!part.more) return { items, position: positionOf(part.revision, query, undefined) }
    page = { revision: part.revision, after: part.items.at(-1)!.key }
  }
}

/** How many follow is known only where nothing is left out. */
function positionOf(
  revision: number,
  query: ListQuery,
  rest: { readonly key: ObjectKey; readonly behind: number } | undefined,
): ListPosition {
  if (rest === undefined) return { resourceVersion: String(revision) }
  return {
    resourceVersion: String(revision),
    continue: writeToken(revision, rest.key, query),
    ...(query.fits === everything ? { remainingItemCount: rest.behind } : {}),
  }
}

function startOf(options: ListOptions, token: Token | undefined, query: ListQuery): ListPage {
  if (token !== undefined) {
    const after = { group: query.kind.group, kind: query.kind.kind, namespace: token.namespace, name: token.name }
    return token.revision < 0 ? { after } : { after, revision: token.revision }
  }
  const { revision = 0, match } = options
  // a limited list from a revision is that revision's, unless it says otherwise (Kubernetes API concepts, "Semantics for list")
  const exact = revision > 0 && (match === 'Exact' || (match === undefined && options.limit !== undefined))
  return exact ? { revision } : {}
}

function checkReached({ revision = 0 }: ListOptions, reached: number): void {
  if (revision > reached) throw tooLargeRevision(revision, reached)
}

async function readPage(store: Store, filter: Parameters<Store['list']>[0], page: ListPage, query: ListQuery) {
  try {
    return await store.list(filter, page)
  } catch (cause: unknown) {
    if (!(cause instanceof MeshError) || cause.code !== 'RESOURCE_CONFLICT' || page.revision === undefined) throw cause
    const { revision } = await store.list(filter, { limit: 1 })
    if (page.revision > revision) throw tooLargeRevision(page.revision, revision)
    if (query.options.continue === undefined || page.after === undefined) {
      const message = `The provided resource version ${page.revision} is too old; list again without it`
      throw new ApiError('Expired', message, { cause })
    }
    const metadata = { continue: writeToken(-1, page.after, query) }
    throw new ApiError('Expired', inconsistent, { cause, metadata })
  }
}

/** Word for word as clients know it (apiserver, `etcd3.errors`). */
const inconsistent =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the ' +
  'continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing ' +
  'with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the ' +
  'time the first chunk was returned and now may show up in the list.'

interface Token {
  /** Negative: of the present state, after the revision had gone. */
  readonly revision: number
  readonly namespace: string
  readonly name: string
}

/** A token says where a list stands and which list it is; it holds nothing that its bearer has not seen. */
function writeToken(revision: number, { namespace, name }: ObjectKey, query: ListQuery): string {
  return Buffer.from(JSON.stringify({ v: 1, revision, namespace, name, of: digestOf(query) })).toString('base64url')
}

function readToken(text: string, query: ListQuery): Token {
  const value = parsed(text)
  if (!isObject(value)) throw notAToken('it is not one of this server')
  const { v, revision, namespace, name, of } = value
  const whole = v === 1 && typeof namespace === 'string' && typeof name === 'string' && Number.isSafeInteger(revision)
  // 0 would be any revision, and that of the answer is kept by clients
  if (!whole || revision === 0) throw notAToken('it is not one of this server')
  if (of !== digestOf(query)) throw notAToken('it belongs to a list of something else')
  return { revision: revision as number, namespace, name }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}

function notAToken(why: string): ApiError {
  return new ApiError('BadRequest', `continue key is not valid: ${why}`)
}

function digestOf({ kind, namespace, selectors }: ListQuery): string {
  const what = JSON.stringify([kind.group, kind.kind, namespace ?? null, selectors])
  return createHash('sha256').update(what).digest('base64url').slice(0, 16)
}
