import * as fc from 'fast-check'
import t from 'tap'
import { normalizePath, type PathNormalization } from '../../../../core/decide/http/path.ts'

const modes = ['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'] as const

/** Target; the path in each mode. */
const rows: readonly (readonly [string, string, string, string, string])[] = [
  ['/', '/', '/', '/', '/'],
  ['/a/b', '/a/b', '/a/b', '/a/b', '/a/b'],
  ['/a/', '/a/', '/a/', '/a/', '/a/'],
  ['/a/./b', '/a/./b', '/a/b', '/a/b', '/a/b'],
  ['/a/../b', '/a/../b', '/b', '/b', '/b'],
  ['/a/..', '/a/..', '/', '/', '/'],
  ['/a/.', '/a/.', '/a/', '/a/', '/a/'],
  ['/../../b', '/../../b', '/b', '/b', '/b'],
  ['/a//b', '/a//b', '/a//b', '/a/b', '/a/b'],
  ['//a', '//a', '//a', '/a', '/a'],
  ['/a//../b', '/a//../b', '/a/b', '/a/b', '/a/b'],
  ['/a\\b', '/a\\b', '/a/b', '/a/b', '/a/b'],
  ['/a\\..\\b', '/a\\..\\b', '/b', '/b', '/b'],
  ['/%61dmin', '/%61dmin', '/admin', '/admin', '/admin'],
  ['/a/%2e%2e/b', '/a/%2e%2e/b', '/b', '/b', '/b'],
  ['/a/%2E/b', '/a/%2E/b', '/a/b', '/a/b', '/a/b'],
  ['/a%2fb', '/a%2fb', '/a%2fb', '/a%2fb', '/a/b'],
  ['/a%2Fb', '/a%2Fb', '/a%2Fb', '/a%2Fb', '/a/b'],
  ['/a%5cb', '/a%5cb', '/a%5cb', '/a%5cb', '/a/b'],
  ['/a%2f%2fb', '/a%2f%2fb', '/a%2f%2fb', '/a%2f%2fb', '/a/b'],
  ['/a%2f..%2fb', '/a%2f..%2fb', '/a%2f..%2fb', '/a%2f..%2fb', '/b'],
  ['/a/%252e%252e/b', '/a/%252e%252e/b', '/a/%252e%252e/b', '/a/%252e%252e/b', '/a/%252e%252e/b'],
  ['/a/..;/b', '/a/..;/b', '/a/..;/b', '/a/..;/b', '/a/..;/b'],
  ['/a;x=1/b', '/a;x=1/b', '/a;x=1/b', '/a;x=1/b', '/a;x=1/b'],
  ['/Admin', '/Admin', '/Admin', '/Admin', '/Admin'],
  ['/a%20b', '/a%20b', '/a%20b', '/a%20b', '/a%20b'],
  ['/a...b/...', '/a...b/...', '/a...b/...', '/a...b/...', '/a...b/...'],
  ['/%zz', '/%zz', '/%zz', '/%zz', '/%zz'],
  ['/%%32e', '/%%32e', '/%%32e', '/%%32e', '/%%32e'],
  ['/%2%65', '/%2%65', '/%2%65', '/%2%65', '/%2%65'],
  ['/a#/../b', '/a', '/a', '/a', '/a'],
]

t.test('each mode of normalization gives the path that Istio gives', (t) => {
  for (const [target, ...paths] of rows) {
    for (const [index, mode] of modes.entries()) {
      t.same(normalizePath(target, mode), { path: paths[index], query: undefined }, `${mode} ${target}`)
    }
  }
  t.end()
})

t.test('BASE is the default', (t) => {
  t.same(normalizePath('/a//./b'), { path: '/a//b', query: undefined })
  t.end()
})

t.test('the query is split off and left alone', (t) => {
  t.same(normalizePath('/a/../b?x=/../y%2e'), { path: '/b', query: 'x=/../y%2e' })
  t.same(normalizePath('/a?'), { path: '/a', query: '' })
  t.same(normalizePath('/a?x#y?z'), { path: '/a', query: 'x' })
  t.end()
})

t.test('a NUL and what is no path are rejected in every mode', (t) => {
  for (const mode of modes) {
    for (const target of ['/a%00b', '/a\0b', '', 'a/b', 'http://evil/', '?x', '#x', '*/a']) {
      t.ok('rejected' in normalizePath(target, mode), `${mode} ${JSON.stringify(target)}`)
    }
    t.same(normalizePath('*', mode), { path: '*', query: undefined })
    t.same(normalizePath('/a?x=%00', mode), { path: '/a', query: 'x=%00' }, 'a query may have one')
  }
  t.end()
})

const piece = fc.constantFrom(
  '/',
  '.',
  '..',
  '%',
  '%2',
  '%2e',
  '%2E',
  '%2f',
  '%5c',
  '\\',
  '%25',
  '%32',
  '%65',
  'a',
  'e',
  '2',
  ';',
  '%41',
)
const target = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)

t.test('what was normalised stays as it is when it is normalised again', (t) => {
  fc.assert(
    fc.property(target, fc.constantFrom<PathNormalization>(...modes), (text, mode) => {
      const once = normalizePath(text, mode)
      if ('rejected' in once) return
      const twice = normalizePath(once.path, mode)
      if ('rejected' in twice || twice.path !== once.path) throw new Error(JSON.stringify([text, once, twice]))
    }),
    { numRuns: 3000 },
  )
  t.end()
})

t.test('no dot segment, no backslash and, merged, no two slashes survive', (t) => {
  fc.assert(
    fc.property(
      target,
      fc.constantFrom<PathNormalization>('BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'),
      (text, mode) => {
        const normal = normalizePath(text, mode)
        if ('rejected' in normal) return
        const bad = /\/\.\.?(?:\/|$)|\\/.test(normal.path) || (mode !== 'BASE' && normal.path.includes('//'))
        if (bad || !normal.path.startsWith('/')) throw new Error(JSON.stringify([mode, text, normal]))
      },
    ),
    { numRuns: 3000 },
  )
  t.end()
})
