import fc from 'fast-check'
import t from 'tap'
import { envName, flagName, optionalRow, parseConfig, requiredRow, row } from '../../../core/base/config.ts'
import { readConfigFile } from '../../../core/base/config-file.ts'
import { MeshError } from '../../../core/base/errors.ts'
import {
  boolean,
  durationMs,
  enumOf,
  hostPort,
  integer,
  list,
  type Parser,
  path,
  string,
  unlimitedOr,
} from '../../../core/base/parsers.ts'

const rows = {
  stateDir: requiredRow(path, 'Directory of the state.'),
  workers: row(integer(1, 64), '1', 'Data workers.'),
  drainDeadline: row(durationMs, '10s', 'Longest drain.'),
  adminAddress: row(hostPort, '127.0.0.1:15000', 'Admin.'),
  logLevel: row(enumOf(['debug', 'info', 'warn']), 'info', 'Level.'),
  dns: row(boolean, 'true', 'Answer DNS.'),
  nameservers: row(list(string), '', 'Resolvers.'),
  feedNetns: optionalRow(path, 'Namespace of the feed.'),
}

function problemsOf(sources: Parameters<typeof parseConfig>[1]): string[] {
  try {
    parseConfig(rows, sources)
  } catch (error: unknown) {
    if (error instanceof MeshError && error.code === 'CONFIG_INVALID') return error.message.split('\n')
    throw error
  }
  return []
}

t.test('names follow from the row', (t) => {
  t.equal(flagName('drainDeadline'), '--drain-deadline')
  t.equal(envName('drainDeadline'), 'CULVERT_DRAIN_DEADLINE')
  t.end()
})

t.test('defaults are parsed like any other value, and the result is frozen', (t) => {
  const config = parseConfig(rows, { flags: { stateDir: '/var/lib/culvert' } })
  t.same(config, {
    stateDir: '/var/lib/culvert',
    workers: 1,
    drainDeadline: 10_000,
    adminAddress: { host: '127.0.0.1', port: 15000 },
    logLevel: 'info',
    dns: true,
    nameservers: [],
    feedNetns: undefined,
  })
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.adminAddress) && Object.isFrozen(config.nameservers))
  t.end()
})

t.test('a flag wins over the environment, that over the file, that over the default', (t) => {
  const file = readConfigFile('stateDir: /file\nworkers: 3\nlogLevel: warn\n', 'culvert.yaml')
  const env = { CULVERT_STATE_DIR: '/env', CULVERT_WORKERS: '2', CULVERT_DNS: '' }
  const config = parseConfig(rows, { flags: { 'state-dir': '/flag' }, env, file })
  t.match(config, { stateDir: '/flag', workers: 2, logLevel: 'warn', dns: true })
  t.end()
})

t.test('flags come as yargs gives them', (t) => {
  const flags = {
    stateDir: '/s',
    workers: 4,
    dns: false,
    nameservers: ['1.1.1.1', '::1'],
    _: ['daemon'],
    $0: 'culvert',
  }
  t.match(parseConfig(rows, { flags }), { workers: 4, dns: false, nameservers: ['1.1.1.1', '::1'] })
  t.same(problemsOf({ flags: { stateDir: { a: 1 } } }), ['--state-dir: given in a form that is not understood'])
  t.end()
})

t.test('all problems are reported together, each with its place', (t) => {
  const file = readConfigFile('workers: 0\nlogLevel: {a: 1}\nworkrs: 2\ndrainDeadline: 10\n', '/etc/culvert.yaml')
  t.same(problemsOf({ env: { CULVERT_DNS: 'yes' }, file }), [
    '/etc/culvert.yaml:3:9: unknown field workrs; known are stateDir, workers, drainDeadline, adminAddress, logLevel, dns, nameservers, feedNetns',
    '--state-dir (or CULVERT_STATE_DIR) is missing: Directory of the state.',
    '/etc/culvert.yaml:1:10: workers: must be an integer from 1 to 64, not "0"',
    '/etc/culvert.yaml:4:16: drainDeadline: must be a duration such as 250ms, 10s, 1h30m, not "10"',
    '/etc/culvert.yaml:2:11: logLevel: must be a single value or a list of them',
    'CULVERT_DNS: must be true or false, not "yes"',
  ])
  t.end()
})

t.test('a broken file is a problem with its place, never an exception', (t) => {
  t.match(problemsOf({ flags: { stateDir: '/s' }, file: readConfigFile('a: [1', 'f.yaml') }), [/^f\.yaml:1:\d+: /])
  t.match(problemsOf({ flags: { stateDir: '/s' }, file: readConfigFile('- 1\n', 'f.yaml') }), [
    'f.yaml:1:1: must be a mapping of field names to values',
  ])
  t.match(problemsOf({ file: readConfigFile('stateDir: /a\nstateDir: /b\n', 'f.yaml') }), [/^f\.yaml:2:1: /])
  t.same(problemsOf({ flags: { stateDir: '/s' }, file: readConfigFile('', 'f.yaml') }), [])
  fc.assert(fc.property(fc.string(), (text) => readConfigFile(text, 'f').entries instanceof Map))
  t.end()
})

t.test('a list in a file is a list', (t) => {
  const file = readConfigFile('stateDir: /s\nnameservers: [1.1.1.1, "::1"]\n', 'f.yaml')
  t.same(parseConfig(rows, { file }).nameservers, ['1.1.1.1', '::1'])
  t.end()
})

const values = <T>(parser: Parser<T>, texts: readonly string[]) =>
  texts.map((text) => {
    const parsed = parser.parse(text)
    return parsed.ok ? parsed.value : 'refused'
  })

t.test('parsers accept what they document and refuse the rest', (t) => {
  t.same(values(unlimitedOr(durationMs), ['unlimited', '10s', 'Unlimited', '']), [
    Number.POSITIVE_INFINITY,
    10_000,
    'refused',
    'refused',
  ])
  t.same(values(durationMs, ['250ms', '10s', '1h30m', '0.5s', '2d', '0', '', '5', '-1s', '1s ', '1y']), [
    250,
    10_000,
    5_400_000,
    500,
    172_800_000,
    0,
    'refused',
    'refused',
    'refused',
    'refused',
    'refused',
  ])
  t.same(values(integer(-1, 9), ['-1', '9', '10', '1.5', '0x1', '', '1e0', ' 1']), [
    -1,
    9,
    'refused',
    'refused',
    'refused',
    'refused',
    'refused',
    'refused',
  ])
  t.same(values(hostPort, ['[::1]:1', 'a.b:0', 'a:65536', '::1:1', 'a', ':1', 'a b:1']), [
    { host: '::1', port: 1 },
    { host: 'a.b', port: 0 },
    'refused',
    'refused',
    'refused',
    'refused',
    'refused',
  ])
  t.same(values(list(integer(0, 9)), ['', '1', ' 1 , 2 ', '1,,2', 'x']), [[], [1], [1, 2], 'refused', 'refused'])
  t.same(values(path, ['/a', 'b', '', 'a\u0000b']), ['/a', 'b', 'refused', 'refused'])
  t.same(values(boolean, ['true', 'false', '1', 'TRUE']), [true, false, 'refused', 'refused'])
  t.end()
})

t.test('no parser throws, and no refusal repeats a long text whole', (t) => {
  const parsers: readonly Parser<unknown>[] = [
    durationMs,
    integer(0, 9),
    boolean,
    path,
    string,
    hostPort,
    enumOf(['a', 'b']),
    list(durationMs),
  ]
  fc.assert(
    fc.property(fc.string({ maxLength: 3000 }), fc.constantFrom(...parsers), (text, parser) => {
      const parsed = parser.parse(text)
      return parsed.ok || parsed.reason.length < 300
    }),
  )
  t.end()
})
