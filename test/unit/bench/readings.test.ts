// What the bench reads from others: wrk's report, /proc, templates of configuration.
import fc from 'fast-check'
import t from 'tap'
import { answerLength, dueBy } from '../../../bench/load/open-loop.ts'
import { application, peerProcess, redirectRules, render } from '../../../bench/peers.ts'
import { cpuOfStat, descriptorLimit, residentOfStatus } from '../../../bench/process-tree.ts'
import { peers, subjects } from '../../../bench/subjects.ts'
import { parseWrk, requestsPerSecond, wrkCommand } from '../../../bench/wrk.ts'

const good = {
  requests: 2_000,
  durationUs: 500_000,
  p50Us: 100,
  p99Us: 900,
  p999Us: 2_000,
  socketErrors: 0,
  statusErrors: 0,
  timeouts: 0,
}
const output = (report: object): string => `Running 1s test\n  1 threads\nreport: ${JSON.stringify(report)}\n`

t.test("wrk's report is found among its other lines", (t) => {
  t.same(parseWrk(output(good)), good)
  t.equal(requestsPerSecond(good), 4_000)
  t.end()
})

t.test('a report of failures, a partial one and none are refused', (t) => {
  t.throws(() => parseWrk(output({ ...good, socketErrors: 3 })), /3 socket errors/)
  t.throws(() => parseWrk(output({ ...good, statusErrors: 1 })), /1 wrong answers/)
  t.throws(() => parseWrk(output({ ...good, timeouts: 1 })), /1 timeouts/)
  t.throws(() => parseWrk(output({ ...good, requests: 0 })), /0 answers/)
  t.throws(() => parseWrk(output({ requests: 1 })), /lacks durationUs, p50Us/)
  t.throws(() => parseWrk('unable to connect'), /no report: unable to connect/)
  t.end()
})

t.test('wrk has one thread, and closes connections only where that is measured', (t) => {
  const plan = { host: '10.88.2.1', port: 8080, connections: 32, seconds: 2 }
  t.equal(
    wrkCommand(plan)
      .join(' ')
      .replace(/\S+lua/, 'X'),
    'wrk -t 1 -c 32 -d 2s --timeout 10s -s X http://10.88.2.1:8080/',
  )
  t.ok(wrkCommand({ ...plan, fresh: true }).includes('Connection: close'))
  t.end()
})

t.test('CPU time is read past a process name with blanks and parentheses', (t) => {
  const rest = 'S 1 2 2 0 -1 4194560 100 0 0 0 250 150 9 9 20 0 1 0 500 1000 10'
  t.equal(cpuOfStat(`42 (node) ${rest}`), 4_000_000)
  t.equal(cpuOfStat(`42 (a) (b c) ${rest}`), 4_000_000)
  t.end()
})

t.test('memory and the limit of descriptors are read from their lines', (t) => {
  t.equal(residentOfStatus('Name:\tnode\nVmPeak:\t  900 kB\nVmRSS:\t   512 kB\n'), 524_288)
  t.throws(() => residentOfStatus('Name:\tnode\nState:\tZ (zombie)\n'), /ended/)
  const limits =
    'Max processes   100  100  processes\nMax open files            1024                 20000                files     \n'
  t.equal(descriptorLimit(limits), 20_000)
  t.equal(descriptorLimit(limits.replace('20000', 'unlimited')), Number.POSITIVE_INFINITY)
  t.end()
})

t.test('templates are filled completely or not at all', (t) => {
  t.equal(render('a {{B}} {{C}}', { B: 1, C: 'x' }), 'a 1 x')
  t.throws(() => render('{{D}}', { B: 1 }), /no value for D/)
  const facts = { folder: '/tmp/bench', serverAddress: '10.88.2.3', threads: 3 }
  for (const peer of peers) {
    for (const end of ['client', 'server'] as const) {
      const { text, command, file } = peerProcess(peer, end, facts)
      t.notMatch(text, /\{\{/)
      t.match(text, end === 'client' ? /10\.88\.2\.3:15201/ : /127\.0\.0\.1:8080/, `${peer} ${end}`)
      t.match(text, /TLSv1\.3/, `${peer} ${end}`)
      t.ok(command.includes(file))
      if (peer !== 'stunnel') t.match(text, /(?:nbthread|worker_processes) 3/, `${peer} ${end}`)
    }
  }
  for (const subject of subjects) t.notMatch(application(subject, '/tmp/bench', 1).text, /\{\{/)
  t.match(application('haproxy', '/tmp/bench', 1).text, /listen 127\.0\.0\.1:8080/, 'only the peer gets there')
  t.match(application('culvert', '/tmp/bench', 1).text, /listen 0\.0\.0\.0:8080/)
  t.end()
})

t.test('what goes to the server is redirected, and nothing else', (t) => {
  const lines = redirectRules('10.88.2.3').trim().split('\n')
  t.equal(lines.length, 5)
  for (const line of lines.slice(1, -1)) t.match(line, /^-A OUTPUT -p tcp -d 10\.88\.2\.3\/32 .*--to-ports 1510\d$/)
  t.end()
})

t.test('an answer is as long as its head and its Content-Length, once the head is complete', (t) => {
  const answer = 'HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello'
  t.equal(answerLength(answer), answer.length)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: answer.length }), (cut) => {
      const head = answer.slice(0, cut)
      return answerLength(head) === (head.includes('\r\n\r\n') ? answer.length : undefined)
    }),
  )
  t.throws(() => answerLength('HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\n'), /no Content-Length/)
  t.end()
})

t.test('what is due at a fixed rate depends on the clock alone', (t) => {
  t.same(
    [0, 0.4, 1, 10, 1_000].map((ms) => dueBy(ms, 2_000)),
    [0, 0, 2, 20, 2_000],
  )
  t.end()
})
