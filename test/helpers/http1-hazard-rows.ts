// The hazards of HTTP/1.1 as rows of a table: the input, what comes of it on the wire, and the test that shows it. Owned by the tests
// that replay them; read by whoever writes the table down.
import { type RequestHazard, requestHazards } from './http1-hazards.ts'
import { type ResponseHazard, responseHazards } from './http1-response-hazards.ts'

export interface HazardRow {
  readonly input: string
  readonly outcome: string
  readonly test: string
}

export const requestTest = (hazard: RequestHazard) => `request: ${hazard.name}`
export const responseTest = (hazard: ResponseHazard) => `response: ${hazard.name}`

/** What the client of a wrong request gets. */
export function refusalOf({ outcome }: RequestHazard): { readonly status: number; readonly code: string } | undefined {
  const last = typeof outcome === 'string' ? outcome : outcome.find((line) => line.startsWith('error '))?.slice(6)
  if (last === undefined) return undefined
  const [status = '', code = ''] = last.split(' ')
  return { status: Number(status), code }
}

/** CONNECT never leaves the waypoint over HTTP/1.1. */
export const sentResponses = responseHazards.filter(({ expected }) => expected.method !== 'CONNECT')

export type AnswerFate =
  /** The client gets 502, or 503 where nothing at all came. */
  | { readonly kind: 'replaced'; readonly status: 502 | 503 }
  /** The head went through before the fault was there: the connection breaks off. */
  | { readonly kind: 'broken' }
  | { readonly kind: 'whole' }

export function fateOf({ outcome, name }: ResponseHazard): AnswerFate {
  const finals = outcome.filter((line) => !line.startsWith('informational '))
  if (finals[0]?.startsWith('error ')) return { kind: 'replaced', status: name === 'no answer' ? 503 : 502 }
  const end = finals.findIndex((line) => line === 'end' || line.startsWith('end '))
  const error = finals.findIndex((line) => line.startsWith('error '))
  return error >= 0 && (end < 0 || error < end) ? { kind: 'broken' } : { kind: 'whole' }
}

function answerText(hazard: ResponseHazard): string {
  const fate = fateOf(hazard)
  const connection = hazard.reusable === true ? 'the connection stays' : 'the connection is given up'
  if (fate.kind === 'replaced') return `${fate.status}; ${connection}`
  if (fate.kind === 'broken') return `the client's connection is reset; ${connection}`
  return `passed on; ${connection}`
}

const file = 'test/direct/waypoint/http1-hazards.test.ts'

export const hazardRows: readonly HazardRow[] = [
  ...requestHazards.map((hazard) => {
    const refusal = refusalOf(hazard)
    const outcome = refusal === undefined ? 'forwarded as one request' : `refused: ${refusal.status} ${refusal.code}`
    return { input: `request: ${hazard.name}`, outcome, test: `${file}: ${requestTest(hazard)}` }
  }),
  ...sentResponses.map((hazard) => ({
    input: `response: ${hazard.name}`,
    outcome: answerText(hazard),
    test: `${file}: ${responseTest(hazard)}`,
  })),
]
