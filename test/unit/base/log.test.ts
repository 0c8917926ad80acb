import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { MeshError } from '../../../core/base/errors.ts'
import { createLogger, type Logger, lineWriter, loggedError, nullLogger, quoted } from '../../../core/base/log.ts'

type Line = Readonly<Record<string, unknown>>

async function linesOf(directory: string, write: (log: Logger) => void, level = 'info'): Promise<readonly Line[]> {
  const file = `${directory}/log`
  const handle = await open(file, 'w')
  write(createLogger({ name: 'daemon', fd: handle.fd, level }))
  await handle.close()
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as Line)
}

t.test('a line is written before the call returns, with name, level and time as text', async (t) => {
  const [line] = await linesOf(t.testdir(), (log) => log.info({ workload: 'shop/orders' }, 'accepted'))
  t.match(line, { level: 'info', name: 'daemon', workload: 'shop/orders', msg: 'accepted', pid: process.pid })
  t.match(line?.['time'], /^\d{4}-\d\d-\d\dT/)
})

t.test('a log that gathers writes the lines of two turns in order at their end, and an error at once', async (t) => {
  const file = `${t.testdir()}/log`
  const handle = await open(file, 'w')
  const written = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as Line)['msg'])
  const log = createLogger({ name: 'daemon', fd: handle.fd, gather: true })
  log.info('one')
  log.child({ scope: 'access' }).info('two')
  t.same(written(), [])
  log.error('three')
  t.same(written(), ['one', 'two', 'three'], 'what came before an error is written with it')
  log.info('four')
  await nextTurn()
  t.same(written(), ['one', 'two', 'three'], 'what the turn sends goes first')
  log.info('five')
  await nextTurn()
  t.same(written(), ['one', 'two', 'three', 'four', 'five'])
  await handle.close()
})

t.test('a line that its writer made is like one of the logger', async (t) => {
  const lines = await linesOf(t.testdir(), (log) => {
    const access = log.child({ scope: 'access', note: 'a "b" \u2028 ü' })
    access.info({ path: '/a', bytes: 7 }, 'done')
    lineWriter(access, 'info', 'done')('"path":"/a","bytes":7')
    access.warn({ path: '/b' }, 'gone')
    lineWriter(access, 'warn', 'gone')('"path":"/b"')
  })
  const [one, other, third, fourth] = lines.map((line) => JSON.stringify({ ...line, time: '' }))
  t.equal(other, one)
  t.equal(fourth, third)
  t.ok(lines.every((line) => /^\d{4}-\d\d-\d\dT/.test(String(line['time']))))
})

t.test('a line for a logger of another making goes through that logger', (t) => {
  t.doesNotThrow(() => lineWriter(nullLogger(), 'info', 'done')('"path":"/a"'))
  t.end()
})

t.test('quoted text is JSON, whatever it is', (t) => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
  )
  fc.assert(fc.property(text, (value) => quoted(value) === JSON.stringify(value)))
  t.end()
})

t.test('levels below the chosen one are left out', async (t) => {
  const lines = await linesOf(
    t.testdir(),
    (log) => {
      log.debug('no')
      log.info('no')
      log.warn('yes')
    },
    'warn',
  )
  t.same(
    lines.map((line) => line['msg']),
    ['yes'],
  )
})

t.test('an error of the mesh shows code and causes, and its stack only under debug', async (t) => {
  const cause = new MeshError('TUNNEL_TIMEOUT', 'no SETTINGS', { cause: new Error('socket') })
  const error = new MeshError('CONNECT_FAILED', 'unreachable', { cause })
  const write = (log: Logger) => log.warn({ error }, 'failed')
  const [info] = await linesOf(t.testdir(), write, 'info')
  t.match(info?.['error'], {
    code: 'CONNECT_FAILED',
    message: 'unreachable',
    cause: { code: 'TUNNEL_TIMEOUT', cause: { message: 'socket', stack: /socket/ } },
  })
  t.notOk(Object.hasOwn(info?.['error'] as object, 'stack'))
  const [debug] = await linesOf(t.testdir(), write, 'debug')
  t.match(debug?.['error'], { stack: /MeshError/ })
})

t.test('anything thrown can be logged, circles of causes included', (t) => {
  t.equal(loggedError('text', false), 'text')
  t.equal(loggedError({ a: 1 }, false), '{"a":1}')
  t.equal(loggedError(undefined, false), 'undefined')
  const circle = new Error('circle')
  circle.cause = circle
  t.match(loggedError(circle, false), { message: 'circle' })
  t.end()
})

t.test('the null logger is silent and cheap to derive from', (t) => {
  const log = nullLogger().child({ workload: 'x' })
  log.fatal('nobody hears')
  t.notOk(log.isLevelEnabled('fatal'))
  t.end()
})
