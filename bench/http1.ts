// Requests parsed per second: our reader beside llhttp as node:http uses it (`HTTPParser` with callbacks into JavaScript), on the
// same bytes, in this process. Run by hand: `node bench/http1.ts [SECONDS]`. Prints a table; trust the ratio, not the figures.
import { createRequire } from 'node:module'
import { Headers } from '../waypoint/http/message.ts'
import { RequestReader } from '../waypoint/http1/request-reader.ts'
import { MessageWriter } from '../waypoint/http1/writer.ts'

/** What node:_http_common shows of the parser; it has no types. */
interface NodeParser {
  [callback: number]: (...args: readonly never[]) => unknown
  initialize(type: number, resource: object): void
  execute(bytes: Buffer): number | Error
}
interface NodeParserClass {
  new (): NodeParser
  readonly REQUEST: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
}

process.removeAllListeners('warning')
const { HTTPParser } = createRequire(import.meta.url)('node:_http_common') as { HTTPParser: NodeParserClass }

const wrk = 'GET /index.html HTTP/1.1\r\nHost: orders.shop:8080\r\n\r\n'
const curl = 'GET /orders/17?full=1 HTTP/1.1\r\nHost: orders:8080\r\nUser-Agent: curl/8.11.1\r\nAccept: */*\r\n\r\n'
const traced = [
  'POST /api/v1/orders/1f0c/items HTTP/1.1',
  'Host: orders.shop.svc.cluster.local:8080',
  'User-Agent: Go-http-client/1.1',
  'Content-Length: 128',
  'Accept: application/json',
  'Accept-Encoding: gzip',
  'Content-Type: application/json',
  'X-Request-Id: 4fd1cbd3-2bd5-9ba0-9f2a-0d1f6f3f1a5e',
  'Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  'Tracestate: rojo=00f067aa0ba902b7',
  'X-Forwarded-For: 10.0.3.7',
  'X-Team: checkout',
  `Authorization: Bearer ${'eyJhbGciOiJSUzI1NiJ9'.repeat(12)}`,
  '',
  'x'.repeat(128),
].join('\r\n')
const browser = [
  'GET /shop/cart HTTP/1.1',
  'Host: shop.example.com',
  'Connection: keep-alive',
  'Cache-Control: max-age=0',
  'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"',
  'sec-ch-ua-mobile: ?0',
  'sec-ch-ua-platform: "Linux"',
  'Upgrade-Insecure-Requests: 1',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Sec-Fetch-Site: none',
  'Sec-Fetch-Mode: navigate',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9',
  'Cookie: session=8d4f0c6e1e9a4f0b; theme=dark; consent=all',
  '',
  '',
].join('\r\n')

const inputs: Readonly<Record<string, Buffer>> = {
  'wrk, 1 field': Buffer.from(wrk),
  'curl, 3 fields': Buffer.from(curl),
  'service with trace and body, 12 fields': Buffer.from(traced),
  'browser, 14 fields': Buffer.from(browser),
}

let seen = 0

function ours(): (bytes: Buffer) => void {
  const reader = new RequestReader({
    onHead: (head) => {
      seen += head.headers.count
    },
    onData: () => {},
    onEnd: () => {},
    onError: (error) => {
      throw error
    },
  })
  return (bytes) => void reader.push(bytes)
}

function node(): (bytes: Buffer) => void {
  const parser = new HTTPParser()
  parser.initialize(HTTPParser.REQUEST, {})
  parser[HTTPParser.kOnHeaders] = () => {}
  parser[HTTPParser.kOnHeadersComplete] = (...[, , headers]: readonly (readonly string[])[]) => {
    seen += headers?.length ?? 0
  }
  parser[HTTPParser.kOnBody] = () => {}
  parser[HTTPParser.kOnMessageComplete] = () => {}
  return (bytes) => {
    const done = parser.execute(bytes)
    if (typeof done !== 'number') throw done
  }
}

/** Writes the curl request again and again, a flush each. */
function writes(): (bytes: Buffer) => void {
  const writer = new MessageWriter((buffers) => {
    seen += buffers.length
  })
  const head = {
    method: 'GET',
    scheme: 'http',
    authority: 'orders:8080',
    path: '/orders/17?full=1',
    headers: new Headers(['user-agent', 'curl/8.11.1', 'accept', '*/*']),
  }
  return () => {
    writer.request(head, { kind: 'none' })
    writer.end()
    writer.flush()
  }
}

/** Per second of processor time: what else the machine does counts less. */
function perSecond(run: (bytes: Buffer) => void, bytes: Buffer, seconds: number): number {
  const started = process.cpuUsage()
  let count = 0
  let used = 0
  do {
    for (let index = 0; index < 1_000; index += 1) run(bytes)
    count += 1_000
    const { user, system } = process.cpuUsage(started)
    used = (user + system) / 1_000_000
  } while (used < seconds)
  return count / used
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

const seconds = Number(process.argv[2] ?? 1)
process.stdout.write('| input | ours/s | llhttp/s | ratio |\n| --- | ---: | ---: | ---: |\n')
for (const [name, bytes] of Object.entries(inputs)) {
  const [our, their] = [ours(), node()]
  const rounds = [1, 2, 3, 4, 5].map(() => [perSecond(our, bytes, seconds / 5), perSecond(their, bytes, seconds / 5)])
  const [we, they] = [median(rounds.map(([a = 0]) => a)), median(rounds.map(([, b = 0]) => b))]
  const ratio = median(rounds.map(([a = 0, b = 1]) => a / b))
  process.stdout.write(`| ${name} | ${Math.round(we)} | ${Math.round(they)} | ${ratio.toFixed(2)} |\n`)
}
process.stdout.write(`\nwritten: ${Math.round(perSecond(writes(), Buffer.alloc(0), seconds))} requests/s\n`)
if (seen === 0) throw new Error('nothing was parsed')
