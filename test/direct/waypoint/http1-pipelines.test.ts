// Any requests behind each other, cut anywhere, answered at any pace, with their bodies read or not: each gets its own answer, in order.
import fc from 'fast-check'
import t from 'tap'
import type { Answer, Exchange } from '../../../waypoint/exchange.ts'
import { bodyOf } from '../../../waypoint/http/body.ts'
import { Headers } from '../../../waypoint/http/message.ts'
import { cutAt } from '../../helpers/http1-events.ts'
import { Http1World, until } from '../../helpers/http1-world.ts'

/** `echo` sends the body back, `ignore` does not look at it; `late` does so in a later turn. */
const paces = ['echo', 'ignore', 'echo-late', 'ignore-late'] as const

interface Asked {
  readonly pace: (typeof paces)[number]
  readonly framing: 'none' | 'length' | 'chunked' | 'expect'
  readonly bytes: number
}

const asked = fc.record<Asked>({
  pace: fc.constantFrom(...paces),
  framing: fc.constantFrom('none', 'length', 'chunked', 'expect'),
  bytes: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1_900, max: 9_000 })),
})

function bodyText(index: number, { framing, bytes }: Asked): string {
  return framing === 'none' ? '' : String(index % 10).repeat(bytes)
}

function requestText(request: Asked, index: number): string {
  const body = bodyText(index, request)
  const head = `POST /${request.pace}/${index} HTTP/1.1\r\nHost: x\r\n`
  if (request.framing === 'none') return `${head}\r\n`
  const expect = request.framing === 'expect' ? 'Expect: 100-continue\r\n' : ''
  if (request.framing !== 'chunked') return `${head}${expect}Content-Length: ${body.length}\r\n\r\n${body}`
  const pieces = [body.slice(0, 7), body.slice(7)].filter((piece) => piece !== '')
  const chunks = pieces.map((piece) => `${piece.length.toString(16)};x=y\r\n${piece}\r\n`).join('')
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`
}

async function answer(exchange: Exchange): Promise<Answer> {
  const [, pace = '', index = ''] = exchange.head.path.split('/')
  if (pace.endsWith('late')) await new Promise((resolve) => setImmediate(resolve))
  const headers = new Headers(['x-index', index])
  if (pace.startsWith('echo')) return { head: { status: 200, headers }, body: exchange.body }
  return { head: { status: 200, headers }, body: bodyOf(Buffer.from('ignored')) }
}

const world = await new Http1World({ handler: answer }).start()
t.teardown(() => world.close())

/** The whole final answers in `text`, as `index:body`. */
function parsed(text: string): readonly string[] {
  const answers: string[] = []
  let rest = text
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return answers
    const head = rest.slice(0, end)
    rest = rest.slice(end + 4)
    if (head.startsWith('HTTP/1.1 100 ')) continue
    const length = /content-length: (\d+)/.exec(head)?.[1]
    const body = length === undefined ? unchunked(rest) : { text: rest.slice(0, Number(length)), bytes: Number(length) }
    if (body === undefined || rest.length < body.bytes) return answers
    answers.push(`${/x-index: (\d+)/.exec(head)?.[1] ?? head}:${body.text}`)
    rest = rest.slice(body.bytes)
  }
}

function unchunked(text: string): { readonly text: string; readonly bytes: number } | undefined {
  let at = 0
  let body = ''
  for (;;) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(text.slice(at, line), 16)
    body += text.slice(line + 2, line + 2 + size)
    at = line + 4 + size
    if (size === 0) return { text: body, bytes: at }
  }
}

async function answersTo(requests: readonly Asked[], cuts: readonly number[]): Promise<readonly string[]> {
  const client = world.client()
  for (const piece of cutAt(Buffer.from(requests.map(requestText).join(''), 'latin1'), cuts)) {
    client.write(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => parsed(client.text).length >= requests.length || client.ended, `${requests.length} answers`)
  client.socket.destroy()
  world.clients.length = 0
  world.serving.length = 0
  return parsed(client.text)
}

t.test('each request gets its own answer, in order', async (t) => {
  const cuts = fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { minLength: 1, maxLength: 8 }), cuts, async (requests, places) => {
      // A final answer before 100 ends the connection, for who knows whether the body comes: such a request is the last.
      const last = requests.findIndex(({ framing, bytes }) => framing === 'expect' && bytes > 0)
      const sent = last < 0 ? requests : requests.slice(0, last + 1)
      const expected = sent.map(
        (request, index) => `${index}:${request.pace.startsWith('echo') ? bodyText(index, request) : 'ignored'}`,
      )
      const answers = await answersTo(sent, places)
      if (JSON.stringify(answers) !== JSON.stringify(expected)) {
        throw new Error(`${JSON.stringify(answers)}\ninstead of\n${JSON.stringify(expected)}`)
      }
    }),
    { numRuns: 300 },
  )
  t.equal(world.refused.length, 0)
})
