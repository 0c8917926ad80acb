// The page HAZARDS.md: every input that has made two servers disagree, what comes of it at a waypoint, and the test that sends it over a
// socket. The rows are the inputs that these tests replay, but for the ways of whole connections, which are tests of their own.
import { type HazardRow, hazardRows } from '../test/helpers/http1-hazard-rows.ts'
import { brokenAnswers, type Http2AnswerHazard, soundAnswers } from '../test/helpers/http2-answer-hazards.ts'
import { type Http2Hazard, http2Hazards } from '../test/helpers/http2-hazards.ts'
import { table } from './table.ts'

const folder = 'test/direct/waypoint'

/** Tests that stand alone: name by file. Each is there, says test/repo/docs.test.ts. */
export const hazardTests: Readonly<Record<string, readonly string[]>> = {
  'http1-proxy.test.ts': [
    'pipelined requests go one after the other and are answered in order',
    'what a client nominates in Connection ends here, but not what the mesh looks at',
    'trailers and chunks of a request arrive as such',
    'the path is left as it came: the stack normalises it',
    'an answer that comes while the body is sent ends both connections, after the client has it',
    'a client that asks and asks and takes no answer is not asked on',
  ],
  'http1-ends.test.ts': [
    'the body waits for the 100 of the backend, which reaches the client',
    'a final answer instead of 100: no body is sent, and no connection goes on',
    'an upgrade to WebSocket: both ways, frames in the packet of the 101, each end ends by itself',
    'what a client sends before its upgrade is accepted waits',
    'a client that leaves within its body: the backend gets no whole request',
    'an answer until the end of its connection that is reset is no whole answer',
    'heads that come drop by drop, silence, and bodies that stop have an end',
    'an answer of another length than it said is never a whole one',
  ],
  'http2-to-http1.test.ts': [
    'a length that is a lie breaks the connection to the endpoint, and no second request gets there (H2.CL)',
    'an answer of the endpoint that is cut off is reset, and a client that resets closes the connection there',
  ],
  'http2-hazards.test.ts': [
    'a body that turns out shorter or longer than content-length is never ended for those behind',
    'malformed trailers cut the request off',
    'what was refused does not disturb the next request',
    'rapid reset ends the connection before long',
    'so does making us reset (CVE-2025-8671)',
    'so do bodies that break their word, each of which is found out late',
    'more streams at once than allowed are refused',
    'PING and SETTINGS floods end the connection',
    'a client that says nothing is closed',
  ],
  'pool.test.ts': [
    'a connection is for one caller, at one address, for one service',
    'an idle connection that the server closes, or on which it says something, is not used',
    'a server that says when it closes idle connections is not met by a late request',
    'a body longer or shorter than its length never becomes another request',
    'a head that cannot be sent costs no connection',
  ],
}

export function hazardsPage(origin: string): string {
  const [requests, answers] = [rowsOf('request: '), rowsOf('response: ')]
  return `# Hazards of HTTP

${origin} The rows are the inputs that the tests replay over sockets: \`test/helpers/http1-hazards.ts\`,
\`http1-response-hazards.ts\`, \`http2-hazards.ts\` and \`http2-answer-hazards.ts\`.

Servers that read the same bytes in two ways can be made to disagree about who asks for what. A waypoint refuses such an input, or
forwards exactly one request with one meaning: the tests send the input and look at everything that comes of it at the other end; those
of HTTP/1.1 send another request behind it. ${requests.length + answers.length + http2Hazards.length + brokenAnswers.length + soundAnswers.length} inputs; none reaches a backend with two meanings.

CL is Content-Length, TE Transfer-Encoding, CR and LF the two ends of a line, obs-text a byte above 127.

## Requests over HTTP/1.1

Refused: one answer with the status, whose reason \`culvert_bad_requests_total\` counts, and the end of the connection; no whole request
reaches a backend. Tests: \`${folder}/http1-hazards.test.ts\`.

${hazardTable(requests)}

## Answers over HTTP/1.1

What an endpoint may do wrong. The client never takes a part for the whole. Tests: \`${folder}/http1-hazards.test.ts\`.

${hazardTable(answers)}

## Requests over HTTP/2

A *reset* ends the stream, *GOAWAY* the connection. *As one request*: what the rest of the waypoint, and so the backend, is given.
Tests: \`${folder}/http2-hazards.test.ts\`.

${hazardTable(http2Hazards.map(http2Row))}

## Answers over HTTP/2

Malformed: 502 where the head has not been passed on, else the client's stream or connection is reset.
Tests: \`${folder}/http2-upstream-hazards.test.ts\`.

${hazardTable([...brokenAnswers.map((row) => answerRow(row, 'goes')), ...soundAnswers.map((row) => answerRow(row, 'stays'))])}

## Ways of whole connections

${table(
  ['what is shown', 'file'],
  Object.entries(hazardTests).flatMap(([file, names]) => names.map((name) => [name, `\`${folder}/${file}\``])),
)}
`
}

function rowsOf(kind: string): readonly HazardRow[] {
  return hazardRows
    .filter(({ input }) => input.startsWith(kind))
    .map((row) => ({ ...row, input: row.input.slice(kind.length) }))
}

function http2Row({ name, outcome, seen }: Http2Hazard): HazardRow {
  const [kind = '', code = ''] = outcome.split(' ')
  const words = {
    reset: `refused: reset ${code}`,
    goaway: `refused: GOAWAY ${code}`,
  }[kind]
  const forwarded = `as one request: \`${seen === undefined ? '' : shown(seen)}\``
  const text = words ?? (seen === undefined ? `refused: ${outcome}` : forwarded)
  return { input: name, outcome: text, test: `${name}: ${outcome}` }
}

function answerRow({ name, outcome }: Http2AnswerHazard, connection: 'goes' | 'stays'): HazardRow {
  const text = outcome.replace(' … malformed', ', then reset').replace(' … reset', ', then reset')
  const kept = connection === 'goes' ? 'the connection is given up' : 'the connection stays'
  return { input: name, outcome: `${text}; ${kept}`, test: `${name}: ${outcome}, and the connection ${connection}` }
}

function hazardTable(rows: readonly HazardRow[]): string {
  return table(
    ['input', 'outcome', 'test'],
    rows.map(({ input, outcome, test }) => [shown(input), outcome, `\`${shown(test.replace(/^test\/\S+: /, ''))}\``]),
  )
}

/** Bytes that no page can show. */
function shown(text: string): string {
  return Array.from(text, (letter) =>
    (letter >= ' ' && letter <= '~') || letter === '…' || letter > '\xa0'
      ? letter
      : JSON.stringify(letter).slice(1, -1),
  ).join('')
}
