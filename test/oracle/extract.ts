// Writes crd-fields.json: what the published CRDs say of every kind that Culvert serves (facts only, no texts of theirs but the
// messages of rules). Run it when ../shared/crds changes: `node test/oracle/extract.ts`. The unit tests of the field tables read
// the result through oracle.ts.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { Oracle, OracleKind, PathFacts } from './facts.ts'
import { factsOf, type Schema } from './schema-facts.ts'

/** Outside the repository: present where Culvert is developed, not in a user's clone. */
const crdFolder = join(import.meta.dirname, '../../../shared/crds')
export const oracleFile = join(import.meta.dirname, 'crd-fields.json')

/** By file: the group and the kinds of it. Istio's own Gateway is not served. */
const wanted: Readonly<Record<string, readonly string[]>> = {
  'istio.yaml': [
    'WorkloadEntry',
    'WorkloadGroup',
    'ServiceEntry',
    'VirtualService',
    'DestinationRule',
    'AuthorizationPolicy',
    'PeerAuthentication',
    'RequestAuthentication',
    'Telemetry',
  ],
  'gateway-api-experimental.yaml': [
    'GatewayClass',
    'Gateway',
    'HTTPRoute',
    'GRPCRoute',
    'TLSRoute',
    'TCPRoute',
    'ReferenceGrant',
  ],
}

interface Crd {
  readonly spec?: {
    readonly group: string
    readonly scope: 'Namespaced' | 'Cluster'
    readonly names: {
      readonly kind: string
      readonly plural: string
      readonly singular: string
      readonly shortNames?: readonly string[]
      readonly categories?: readonly string[]
    }
    readonly versions: readonly CrdVersion[]
  }
}

interface CrdVersion {
  readonly name: string
  readonly served: boolean
  readonly schema: { readonly openAPIV3Schema: Schema }
  readonly additionalPrinterColumns?: readonly { readonly name: string; readonly jsonPath: string; priority?: number }[]
}

/** What the CRDs say of the wanted kinds, or undefined where they are not there. */
export function extractOracle(): Oracle | undefined {
  if (!Object.keys(wanted).every((file) => existsSync(join(crdFolder, file)))) return undefined
  const found: Record<string, OracleKind> = {}
  for (const [file, names] of Object.entries(wanted)) {
    for (const document of parseAllDocuments(readFileSync(join(crdFolder, file), 'utf8'))) {
      const { spec } = (document.toJS() ?? {}) as Crd
      if (spec !== undefined && names.includes(spec.names.kind)) found[spec.names.kind] = kindFacts(spec)
    }
  }
  return found
}

function kindFacts({ group, scope, names, versions }: NonNullable<Crd['spec']>): OracleKind {
  const fields: Record<string, Readonly<Record<string, PathFacts>> | string> = {}
  const seen = new Map<string, string>()
  for (const { name, schema } of versions) {
    const facts = factsOf(schema.openAPIV3Schema)
    const text = JSON.stringify(facts)
    fields[name] = seen.get(text) ?? facts
    if (!seen.has(text)) seen.set(text, name)
  }
  return {
    group,
    namespaced: scope === 'Namespaced',
    plural: names.plural,
    singular: names.singular,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    columns: Object.fromEntries(versions.map((version) => [version.name, columnsOf(version)])),
    served: versions.filter(({ served }) => served).map(({ name }) => name),
    fields,
  }
}

function columnsOf({ additionalPrinterColumns = [] }: CrdVersion): readonly string[] {
  return additionalPrinterColumns.map(({ name, jsonPath, priority = 0 }) => `${name} ${jsonPath} ${priority}`)
}

/** One line for each field, so that a change of the CRDs is a readable diff. */
function render(value: unknown, depth: number): string {
  const flat = typeof value !== 'object' || value === null || Array.isArray(value)
  if (flat || depth === 0) return JSON.stringify(value)
  const lines = Object.entries(value).map(([key, entry]) => `${JSON.stringify(key)}: ${render(entry, depth - 1)}`)
  return `{\n${lines.join(',\n')}\n}`
}

if (import.meta.main) {
  const oracle = extractOracle()
  if (oracle === undefined) throw new Error(`${crdFolder} is not there: crd-fields.json stays as it is`)
  writeFileSync(oracleFile, `${render(oracle, 4)}\n`)
}
