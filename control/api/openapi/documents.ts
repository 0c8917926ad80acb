// The OpenAPI documents of the API: one for each group version, made from the field tables when first asked for and kept. The
// index names each with its hash, so that clients may keep it for ever. control/api/meta-requests.ts serves them.
import { createHash } from 'node:crypto'
import type { Kind } from '../../../core/model/kinds/kind.ts'
import { kinds as allKinds } from '../../../core/model/kinds.ts'
import { sharedDefinitions } from './definitions.ts'
import { gnosticOf } from './gnostic.ts'
import { kindDefinitions } from './kind-schema.ts'
import { kindPaths } from './paths.ts'
import type { Schema } from './schema.ts'
import { swaggerOf } from './swagger.ts'

export interface ApiDocument {
  /** JSON, or for `swaggerBytes` gnostic's Protocol Buffers. */
  readonly body: string | Buffer
  /** Upper-case hex of the body's SHA-512. */
  readonly hash: string
}

/** Of a group version, as the index writes it: `api/v1`, `apis/security.istio.io/v1`. */
export type DocumentPath = string

export class OpenApiDocuments {
  readonly #kinds: readonly Kind[]
  readonly #version: string
  readonly #documents = new Map<DocumentPath, ApiDocument>()
  #swagger: Schema | undefined
  #swaggerText: ApiDocument | undefined
  #swaggerBytes: ApiDocument | undefined
  #index: ApiDocument | undefined

  /** `version` is that of the API server. */
  constructor(version: string, kinds: readonly Kind[] = allKinds) {
    this.#version = version
    this.#kinds = kinds
  }

  /** `GET /openapi/v3`. */
  index(): ApiDocument {
    this.#index ??= documentOf({
      paths: Object.fromEntries(
        [...this.#groupVersions().keys()].map((path) => {
          return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${this.document(path)!.hash}` }]
        }),
      ),
    })
    return this.#index
  }

  /** `GET /openapi/v3/<path>`; undefined where no such group version is served. */
  document(path: DocumentPath): ApiDocument | undefined {
    const known = this.#documents.get(path)
    if (known !== undefined) return known
    const found = this.#groupVersions().get(path)
    if (found === undefined) return undefined
    const document = documentOf(this.#openApi(found.kinds, found.version))
    this.#documents.set(path, document)
    return document
  }

  /** `GET /openapi/v2`: everything in one. */
  swagger(): ApiDocument {
    this.#swaggerText ??= documentOf(this.#wholeSwagger())
    return this.#swaggerText
  }

  /** The same for kubectl 1.27 and 1.28, which take nothing else. */
  swaggerBytes(): ApiDocument {
    this.#swaggerBytes ??= documentFrom(gnosticOf(this.#wholeSwagger()))
    return this.#swaggerBytes
  }

  #wholeSwagger(): Schema {
    if (this.#swagger !== undefined) return this.#swagger
    const parts = [...this.#groupVersions().values()].map(({ kinds, version }) => this.#openApi(kinds, version))
    this.#swagger = swaggerOf(this.#version, parts)
    return this.#swagger
  }

  #openApi(kinds: readonly Kind[], version: string) {
    const schemas = kinds.map((kind) => kindDefinitions(kind, version))
    return {
      openapi: '3.0.0',
      info: { title: 'Culvert', version: this.#version },
      paths: Object.assign({}, ...kinds.map((kind) => kindPaths(kind, version))) as ReturnType<typeof kindPaths>,
      components: {
        schemas: Object.assign({}, sharedDefinitions(version), ...schemas) as ReturnType<typeof sharedDefinitions>,
      },
    }
  }

  #groupVersions(): ReadonlyMap<DocumentPath, { readonly kinds: readonly Kind[]; readonly version: string }> {
    const found = new Map<DocumentPath, { kinds: Kind[]; version: string }>()
    for (const kind of this.#kinds) {
      for (const version of kind.versions) {
        const path = kind.group === '' ? `api/${version}` : `apis/${kind.group}/${version}`
        const entry = found.get(path) ?? { kinds: [], version }
        entry.kinds.push(kind)
        found.set(path, entry)
      }
    }
    return found
  }
}

function documentOf(value: object): ApiDocument {
  return documentFrom(JSON.stringify(value))
}

function documentFrom(body: string | Buffer): ApiDocument {
  return { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() }
}
