// The pages of docs/ that are written from tables: ERRORS.md from the error codes, CONFIG.md from the configuration rows of each
// process, HAZARDS.md from the inputs that the tests replay, RESOURCES.md from the field tables of the kinds. Pure; generate.ts writes them, test/repo/docs.test.ts compares.
import { agentRows } from '../agent/config.ts'
import { workloadDefinition } from '../agent/discover/definition.ts'
import { controlRows } from '../control/config.ts'
import { analysisMessages } from '../core/analyze/messages.ts'
import { envName, flagName, type Rows } from '../core/base/config.ts'
import { errorCodes } from '../core/base/errors.ts'
import type { Field, FieldUse } from '../core/model/fields/field.ts'
import type { Kind } from '../core/model/kinds/kind.ts'
import { formatApiVersion, kinds } from '../core/model/kinds.ts'
import { daemonRows } from '../daemon/config.ts'
import { waypointRows } from '../waypoint/config.ts'
import { hazardsPage } from './hazards.ts'
import { table } from './table.ts'

/** Text by file name below docs/. */
export function generatedPages(): Readonly<Record<string, string>> {
  return {
    'ANALYZE.md': analyzePage(),
    'ERRORS.md': errorsPage(),
    'CONFIG.md': configPage(),
    'HAZARDS.md': hazardsPage(origin),
    'RESOURCES.md': resourcesPage(),
  }
}

const origin = 'Written by `npm run docs`; do not edit.'

function errorsPage(): string {
  const rows = Object.entries(errorCodes).map(([code, { status, flag, retryable, text }]) => {
    return [`\`${code}\``, String(status), `\`${flag}\``, retryable ? 'yes' : 'no', text]
  })
  return `# Errors

${origin} The table is \`errorCodes\` in \`core/base/errors.ts\`.

Every error that Culvert logs, answers or prints carries one of these codes. The code is stable; the message next to it is for
people and says what to check next. *Tunnel* is the \`:status\` that an HBONE \`CONNECT\` gets, *flag* the response flag of the
access log and the \`istio_tcp_*\` metrics, *retry* whether the same thing may work later.

${table(['code', 'tunnel', 'flag', 'retry', 'meaning'], rows)}
`
}

function analyzePage(): string {
  const rows = Object.entries(analysisMessages).map(([code, { severity, text }]) => [`\`${code}\``, severity, text])
  return `# culvert analyze

${origin} The table is \`analysisMessages\` in \`core/analyze/messages.ts\`.

\`culvert analyze FILES\` checks resource files without a server; \`culvert analyze\` the live mesh; \`culvert analyze --live -f FILES\` files as
if they were applied already. Every finding has a place (\`file:line:column\`), a code and a remedy. The exit code is 1 where something
at least as severe as \`--fail-at\` (\`warning\`) is found.

Files alone do not tell what else the mesh holds. So a host, a workload or a namespace counts as missing only where the files
hold others of its kind in the same namespace, or where nearly the same name is there; \`--live\` leaves no such doubt.

Shown are findings from \`--level\` (\`warning\`) on; \`summary\` counts all of them. Give it resource files only: the topology of a
lab is none.

\`-o json\` prints one document; \`file\`, \`line\` and \`column\` are there for what comes from a file, \`object\` where it could be read:

\`\`\`json
{
  "findings": [
    {
      "severity": "error",
      "code": "SubsetNotFound",
      "file": "routes.yaml",
      "line": 4,
      "column": 78,
      "object": { "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "namespace": "shop", "name": "v" },
      "path": "spec.http[0].route[0].destination.subset",
      "message": "no DestinationRule for orders.shop.svc.cluster.local defines the subset \\"v2\\"",
      "remedy": "add a subset \\"v2\\" with its labels to a DestinationRule with host orders.shop.svc.cluster.local"
    }
  ],
  "summary": { "infos": 1, "warnings": 0, "errors": 1 }
}
\`\`\`

${table(['code', 'severity', 'meaning'], rows)}
`
}

const processes: readonly (readonly [string, Rows])[] = [
  ['control', controlRows],
  ['agent', agentRows],
  ['daemon', daemonRows],
  ['waypoint', waypointRows],
]

function configPage(): string {
  return `# Configuration

${origin} The tables are the rows in \`<process>/config.ts\`.

A value comes from the flag, else from the environment variable, else from the file of \`--config-file\` (YAML;
\`--state-dir\` is \`stateDir\` there), else from the default. Durations are written \`250ms\`, \`10s\`, \`1h30m\`. Whatever is wrong is reported at once, all of it together, before the process does anything.

${processes.map(([name, rows]) => processSection(name, rows)).join('\n')}
${workloadFiles()}`
}

function workloadFiles(): string {
  const rows = Object.entries<Field & { readonly required?: boolean }>(workloadDefinition.fields).map(
    ([name, field]) => {
      return [`\`${name}\``, field.type, field.required === true ? '**yes**' : 'no', field.text]
    },
  )
  return `## Workload files

One file per workload in the agent's \`--workloads-dir\`, \`*.yaml\`, \`*.yml\` or \`*.json\`. The agent sees at once what appears,
changes or goes. A file with a mistake is logged with its line and leaves the workload as it was. The fields are the table in
\`agent/discover/definition.ts\`.

${table(['field', 'type', 'required', 'meaning'], rows)}
`
}

function processSection(name: string, rows: Rows): string {
  const lines = Object.entries(rows).map(([field, { parser, default: fallback, required, text }]) => {
    const shown = required ? '**required**' : fallback === undefined || fallback === '' ? 'none' : `\`${fallback}\``
    return [`\`${flagName(field)}\``, `\`${envName(field)}\``, parser.type, shown, text]
  })
  return `## culvert ${name}\n\n${table(['flag', 'variable', 'type', 'default', 'meaning'], lines)}\n`
}

function resourcesPage(): string {
  return `# Resources

${origin} The tables are the field tables in \`core/model/fields/\`.

Every kind is accepted in each of its versions. A field that no table knows is an error. A field that is accepted without effect
is named in the object's \`status.conditions\`. *Layer 7*: a rule that carries the field fails closed at layer 4, ALLOW rules are
dropped and DENY rules widened.

| condition | where | says |
| --- | --- | --- |
| \`Accepted\` | all kinds | \`False\`: the object takes no effect, with the reason |
| \`Ignored.<path>\` | all kinds | a field, or labels meant for the mesh, that have no effect |
| \`FullyEnforced\` | AuthorizationPolicy | \`False\`: it is stricter than written, a dry run, or not enforced |
| \`WorkloadsCaptured\` | AuthorizationPolicy, PeerAuthentication | \`False\`: workloads that it holds for are not captured, so nobody enforces it there |
| \`AddressesUnique\` | Service, WorkloadEntry | \`False\`: an older object has the address |
| \`PortsResolved\` | Service | \`False\`: a workload lacks a port of that name |

Namespace, Service and WorkloadEntry carry conditions only where there is something to say.

${kinds.map(kindSection).join('\n')}`
}

function kindSection(kind: Kind): string {
  const versions = kind.versions.map((version) => `\`${formatApiVersion(kind.group, version)}\``).join(', ')
  const scope = kind.namespaced ? 'namespaced' : 'cluster-scoped'
  const short = kind.shortNames.length === 0 ? '' : `, short ${kind.shortNames.map((name) => `\`${name}\``).join(', ')}`
  const rows = Object.entries(kind.body).flatMap(([name, field]) => fieldRows(field, name))
  return `## ${kind.kind}\n\n${versions}; ${scope}; \`${kind.plural}\`${short}.\n\n${table(['field', 'type', 'use', 'meaning'], rows)}\n`
}

/** The field itself and everything below it. */
function fieldRows(field: Field, path: string): readonly (readonly string[])[] {
  const name = `\`${path}\`${field.required === true ? ' (required)' : ''}`
  const own = [
    name,
    typeText(field),
    [useText(field.use), ...exceptions(field)].join('; '),
    field.text + olderForms(field),
  ]
  if (field.type === 'list') return [own, ...below(field.item, `${path}[]`)]
  if (field.type === 'map') return [own, ...below(field.value, `${path}.*`)]
  return [own, ...below(field, path)]
}

function olderForms({ forms = {} }: Field): string {
  return Object.entries(forms)
    .map(
      ([version, form]) =>
        ` In ${version}: ${[form.required === true ? 'required' : 'optional', ...limits(form)].join(', ')}.`,
    )
    .join('')
}

function limits(form: Field): readonly string[] {
  return form.type === 'list' && form.maxItems !== undefined ? [`up to ${form.maxItems} entries`] : []
}

function below(field: Field, path: string): readonly (readonly string[])[] {
  if (field.type !== 'object') return []
  return Object.entries(field.fields).flatMap(([name, inner]) => fieldRows(inner, `${path}.${name}`))
}

function typeText(field: Field): string {
  switch (field.type) {
    case 'enum':
      return field.values.map((value) => `\`${value}\``).join(' ')
    case 'any':
      return 'any JSON value'
    case 'integer':
      if (field.values !== undefined) return field.values.map((value) => `\`${value}\``).join(' ')
      return `integer ${field.min} to ${field.max}`
    case 'list':
      return `list of ${typeText(field.item)}`
    case 'map':
      return `map to ${typeText(field.value)}`
    case 'int-or-string':
      return 'integer or string'
    default:
      return field.type
  }
}

function useText(use: FieldUse): string {
  switch (use.kind) {
    case 'enforced':
      return use.where === '' ? 'enforced' : `enforced: ${use.where}`
    case 'layer7':
      return `layer 7: ${use.text}`
    default:
      return `${use.kind}: ${use.text}`
  }
}

/** Values that the field may have and that take no effect, with what the status says of them. */
function exceptions(field: Field): readonly string[] {
  const { use } = field
  if (field.type !== 'enum' || use.kind !== 'enforced') return []
  return field.values.flatMap((value) => use.except?.(value) ?? [])
}
