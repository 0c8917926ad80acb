// Whether what was observed is what a case expects: the same for the decision alone and for an answer from the wire. Pure.
import { type Answered, fieldOf } from '../../lab/calls/call.ts'
import { readMessage } from '../../lab/echo/protobuf.ts'
import { type CaseRequest, type Expected, frontendOf, tolerancePoints } from './case.ts'

export interface AtBackend {
  readonly pod: string
  readonly namespace: string
  /** Undefined where the answer does not tell. */
  readonly path?: string
  readonly host?: string
  readonly proto?: string
  /** Names in lower case, values of one name joined by ",". */
  readonly headers: Readonly<Record<string, string>>
}

export interface Observed {
  readonly status: number
  readonly grpcStatus?: number
  readonly response: (name: string) => string | undefined
  readonly backend?: AtBackend
  readonly body?: string
  readonly ms?: number
}

/** @param path that was asked for, with what the harness has put behind it */
export function problemsOf(request: CaseRequest, path: string, observed: Observed): readonly string[] {
  const { expect } = request
  return [
    ...statusProblems(request, observed),
    ...responseProblems(expect, observed),
    ...(observed.backend === undefined ? [] : backendProblems(request, path, observed.backend)),
    ...(expect.backend !== undefined && observed.backend === undefined && observed.status !== 101
      ? [`no backend answered, expected ${expect.backend}`]
      : []),
    ...(expect.body === undefined || expect.body === observed.body ? [] : [`the body is ${observed.body}`]),
    ...(expect.atLeastMs !== undefined && observed.ms !== undefined && observed.ms < expect.atLeastMs
      ? [`answered after ${Math.round(observed.ms)} ms, expected ${expect.atLeastMs} at least`]
      : []),
  ]
}

function statusProblems({ protocol, expect }: CaseRequest, observed: Observed): readonly string[] {
  if (protocol === 'grpc') {
    const wanted = expect.grpcStatus ?? 0
    return observed.grpcStatus === wanted ? [] : [`grpc-status ${observed.grpcStatus}, expected ${wanted}`]
  }
  const wanted = [expect.status ?? 200].flat()
  return wanted.includes(observed.status) ? [] : [`status ${observed.status}, expected ${wanted.join(' or ')}`]
}

function responseProblems({ response = {}, responseAbsent = [], location }: Expected, observed: Observed): string[] {
  const wanted = { ...response, ...(location === undefined ? {} : { location }) }
  const wrong = Object.entries(wanted).flatMap(([name, value]) => {
    const found = observed.response(name)
    const fits = found !== undefined && [value].flat().some((each) => unblanked(each) === unblanked(found))
    return fits ? [] : [`response header ${name} is ${found}, expected ${[value].flat().join(' or ')}`]
  })
  const there = responseAbsent.flatMap((name) => {
    const found = observed.response(name)
    return found === undefined ? [] : [`response header ${name} is ${found}, expected none`]
  })
  return [...wrong, ...there]
}

function unblanked(text: string): string {
  return text.replace(/,\s+/g, ',')
}

function backendProblems({ to, protocol, headers, expect }: CaseRequest, path: string, at: AtBackend): string[] {
  const { name, port } = frontendOf(protocol === undefined ? { to: to ?? 'echo' } : { to: to ?? 'echo', protocol })
  const sentHost =
    headers?.['host'] ?? (to?.startsWith('pod ') ? undefined : to) ?? (port === 80 ? name : `${name}:${port}`)
  const facts: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['backend', at.pod, expect.backend],
    ['namespace', at.namespace, expect.namespace ?? 'conformance'],
    ['path', at.path, expect.path ?? path],
    ['host', at.host, expect.host ?? (to?.startsWith('pod ') ? undefined : sentHost)],
    ['protocol', at.proto, expect.proto],
  ]
  const wrong = facts.flatMap(([what, found, wanted]) =>
    wanted === undefined || found === undefined || found === wanted ? [] : [`${what} ${found}, expected ${wanted}`],
  )
  const fields = Object.entries(expect.request ?? {}).flatMap(([field, value]) => {
    const found = at.headers[field.toLowerCase()]
    return found !== undefined && unblanked(found) === unblanked(value)
      ? []
      : [`request header ${field} is ${found}, expected ${value}`]
  })
  const there = (expect.requestAbsent ?? []).flatMap((field) => {
    const found = at.headers[field.toLowerCase()]
    return found === undefined ? [] : [`request header ${field} is ${found}, expected none`]
  })
  return [...wrong, ...fields, ...there]
}

/** @param counts by instance, or by what went wrong */
export function shareProblems(
  shares: Readonly<Record<string, number>>,
  counts: Readonly<Record<string, number>>,
  total: number,
): readonly string[] {
  const names = [...new Set([...Object.keys(shares), ...Object.keys(counts)])]
  return names.flatMap((name) => {
    const [found, wanted] = [(100 * (counts[name] ?? 0)) / total, shares[name] ?? 0]
    const tolerance = wanted === 0 ? 0 : tolerancePoints
    return Math.abs(found - wanted) <= tolerance ? [] : [`${name} has ${found.toFixed(1)} %, expected ${wanted} %`]
  })
}

/** What an answer of the echo workload tells; undefined where it is not from one. */
export function observedOf(answer: Answered): Observed {
  const backend = answer.messages === undefined ? fromJson(answer.body) : fromMessages(answer.messages)
  return {
    status: answer.status,
    response: (name) => fieldOf(answer.headers, name),
    body: answer.body,
    ms: answer.totalMs,
    ...(answer.grpcStatus === undefined ? {} : { grpcStatus: answer.grpcStatus }),
    ...(backend === undefined ? {} : { backend }),
  }
}

function fromJson(body: string): AtBackend | undefined {
  try {
    const echo = JSON.parse(body) as AtBackend & { readonly headers?: Readonly<Record<string, readonly string[]>> }
    if (typeof echo.pod !== 'string' || echo.headers === undefined) return undefined
    const headers = Object.entries(echo.headers).map(
      ([name, values]) => [name.toLowerCase(), values.join(',')] as const,
    )
    return { ...echo, headers: Object.fromEntries(headers) }
  } catch {
    return undefined
  }
}

/** EchoResponse of the conformance echo server, see echoResponse in lab/echo/grpc.ts. */
function fromMessages(messages: NonNullable<Answered['messages']>): AtBackend | undefined {
  const assertions = messages[0]?.find(([number]) => number === 1)?.[1]
  if (assertions === undefined) return undefined
  const fields = fieldsIn(assertions)
  const context = fieldsIn(fields.find(([number]) => number === 4)?.[1] ?? '')
  const textOf = (list: typeof context, wanted: number): string =>
    String(list.find(([number]) => number === wanted)?.[1] ?? '')
  const headers: Record<string, string> = {}
  for (const [number, value] of fields) {
    if (number !== 2) continue
    const pair = fieldsIn(value)
    const name = textOf(pair, 1).toLowerCase()
    headers[name] = headers[name] === undefined ? textOf(pair, 2) : `${headers[name]},${textOf(pair, 2)}`
  }
  const [path, host] = [`/${textOf(fields, 1)}`, textOf(fields, 3)]
  return { pod: textOf(context, 4), namespace: textOf(context, 1), path, host, headers }
}

function fieldsIn(text: string | number): readonly (readonly [number, string])[] {
  const bytes = Buffer.from(String(text), 'latin1')
  return readMessage(bytes).map(({ number, value }) => [
    number,
    typeof value === 'number' ? String(value) : value.toString('latin1'),
  ])
}
