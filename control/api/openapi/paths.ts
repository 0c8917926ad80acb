// The paths of one kind in an OpenAPI document: which verbs there are and which query parameters they take. kubectl decides by the
// parameters of PATCH whether the server checks fields itself.
import type { Kind } from '../../../core/model/kinds/kind.ts'
import { patchTypes } from '../patch/patch.ts'
import { deleteOptions, patchBody, ref, status } from './definitions.ts'
import { definitionName, groupVersionKind } from './kind-schema.ts'
import type { Schema } from './schema.ts'

type Type = 'string' | 'integer' | 'boolean'

const query = (name: string, description: string, type: Type = 'string') => {
  return { name, in: 'query', description, schema: { type, uniqueItems: true } }
}

const pretty = query('pretty', 'Taken, without effect.')
const dryRun = query('dryRun', 'All: check, but do not write.')
const fieldManager = query('fieldManager', 'Who is writing, for the ownership of fields.')
const fieldValidation = query(
  'fieldValidation',
  'Ignore, Warn or Strict: what becomes of unknown and duplicate fields.',
)
const force = query('force', 'Server-side apply: take over the fields of other managers.', 'boolean')

const selecting = [
  query('labelSelector', 'Limits the answer by labels.'),
  query('fieldSelector', 'Limits the answer by fields.'),
  query('limit', 'Objects in one answer at most.', 'integer'),
  query('continue', 'Token of the answer before.'),
  query('resourceVersion', 'Revision that the answer must have reached.'),
  query('resourceVersionMatch', 'Exact or NotOlderThan.'),
  query('timeoutSeconds', 'How long the call may take.', 'integer'),
]
const watching = [
  query('watch', 'Follow the changes instead of a list.', 'boolean'),
  query('allowWatchBookmarks', 'Tell from time to time how far the watch has come.', 'boolean'),
  query('sendInitialEvents', 'Begin a watch with all objects and a bookmark.', 'boolean'),
]
const deleting = [
  dryRun,
  query('gracePeriodSeconds', 'Taken, without effect.', 'integer'),
  query('orphanDependents', 'Older form of propagationPolicy.', 'boolean'),
  query('propagationPolicy', 'Orphan, Background or Foreground.'),
]
const bodyTypes = ['application/json', 'application/yaml']

const contentOf = (types: readonly string[], name: string) => {
  return Object.fromEntries(types.map((type) => [type, { schema: ref(name) }]))
}

/** The paths of a kind at one version. */
export function kindPaths(kind: Kind, version: string): Readonly<Record<string, Schema>> {
  const base = kind.group === '' ? `/api/${version}` : `/apis/${kind.group}/${version}`
  const inside = kind.namespaced ? `${base}/namespaces/{namespace}/${kind.plural}` : `${base}/${kind.plural}`
  const make = new Operations(kind, version)
  const scope = kind.namespaced ? [pathParameter('namespace', 'Namespace of the object.')] : []
  const named = [pathParameter('name', `Name of the ${kind.kind}.`), ...scope]
  return {
    [inside]: { parameters: [...scope, pretty], ...make.collection() },
    [`${inside}/{name}`]: { parameters: [...named, pretty], ...make.single() },
    ...(kind.hasNoStatus === true
      ? {}
      : { [`${inside}/{name}/status`]: { parameters: [...named, pretty], ...make.status() } }),
    ...(kind.namespaced ? { [`${base}/${kind.plural}`]: { parameters: [pretty], get: make.list() } } : {}),
  }
}

function pathParameter(name: string, description: string): Schema {
  return { name, in: 'path', required: true, description, schema: { type: 'string', uniqueItems: true } }
}

class Operations {
  readonly #kind: Kind
  readonly #version: string
  readonly #name: string

  constructor(kind: Kind, version: string) {
    this.#kind = kind
    this.#version = version
    this.#name = definitionName(kind, version)
  }

  collection(): Schema {
    const remove = { requestBody: body(deleteOptions, ['application/json']) }
    return {
      get: this.list(),
      post: this.#write('post', 'create', 201),
      delete: this.#operation('deletecollection', [...selecting, ...deleting], answer(200, status), remove),
    }
  }

  list(): Schema {
    return this.#operation('list', [...selecting, ...watching], answer(200, `${this.#name}List`))
  }

  single(): Schema {
    const remove = { requestBody: body(deleteOptions, ['application/json']) }
    return {
      get: this.#operation('get', [], answer(200, this.#name)),
      ...this.status(),
      delete: this.#operation('delete', deleting, answer(200, status), remove),
    }
  }

  status(): Schema {
    return {
      get: this.#operation('get', [], answer(200, this.#name)),
      put: this.#write('put', 'update', 200),
      patch: this.#write('patch', 'patch', 200),
    }
  }

  #write(action: string, verb: string, code: number): Schema {
    const parameters = [dryRun, fieldManager, fieldValidation, ...(verb === 'patch' ? [force] : [])]
    const requestBody = verb === 'patch' ? body(patchBody, patchTypes(this.#kind)) : body(this.#name, bodyTypes)
    const both = verb === 'update' || verb === 'patch' ? answer(201, this.#name) : {}
    return this.#operation(action, parameters, { ...answer(code, this.#name), ...both }, { requestBody })
  }

  #operation(action: string, parameters: readonly Schema[], responses: Schema, more: Schema = {}): Schema {
    return {
      description: `${action} ${this.#kind.plural}`,
      parameters,
      ...more,
      responses: { ...responses, 401: { description: 'Unauthorized' } },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': groupVersionKind(this.#kind, this.#version),
    }
  }
}

function body(name: string, types: readonly string[]): Schema {
  return { content: contentOf(types, name) }
}

function answer(code: number, name: string): Schema {
  return { [code]: { description: code === 201 ? 'Created' : 'OK', content: contentOf(bodyTypes, name) } }
}
