import t from 'tap'
import { compileRewrite } from '../../../../core/decide/http/rewrite.ts'
import type { PathMatch } from '../../../../core/model/routes.ts'

t.test("ReplacePrefixMatch is the Gateway API's table, row by row", (t) => {
  const rows = [
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo', '/foo', '/', '/'],
    // besides the table
    ['/foo', '/', '/xyz', '/xyz/foo'],
    ['/', '/', '/xyz', '/xyz/'],
    ['/foo/bar/', '/foo', '/x', '/x/bar/'],
  ] as const
  for (const [path, prefix, value, expected] of rows) {
    t.equal(
      compileRewrite({ kind: 'segments', prefix, value }, undefined)(path),
      expected,
      `${path} ${prefix} ${value}`,
    )
  }
  t.end()
})

t.test('ReplaceFullPath takes the place of the whole path', (t) => {
  t.equal(compileRewrite({ kind: 'full', value: '/new' }, undefined)('/a/b'), '/new')
  t.equal(compileRewrite({ kind: 'full', value: '' }, undefined)('/a/b'), '/')
  t.end()
})

t.test("Istio's rewrite.uri takes the place of what the prefix matched, of the whole path otherwise", (t) => {
  const rows: readonly (readonly [PathMatch | undefined, string, string, string])[] = [
    [{ kind: 'prefix', value: '/v1' }, '/v2', '/v1/x', '/v2/x'],
    [{ kind: 'prefix', value: '/v1' }, '/v2', '/v1x', '/v2x'],
    [{ kind: 'prefix', value: '/v1/' }, '/', '/v1/x', '/x'],
    [{ kind: 'prefix', value: '/V1', ignoreCase: true }, '/v2', '/v1/x', '/v2/x'],
    [{ kind: 'exact', value: '/v1' }, '/v2', '/v1', '/v2'],
    [{ kind: 'regex', value: '/v.*' }, '/v2', '/v1/x', '/v2'],
    [undefined, '/', '/v1/x', '/v1/x'],
    [undefined, '/base/', '/v1', '/base/v1'],
  ]
  for (const [match, value, path, expected] of rows) {
    t.equal(
      compileRewrite({ kind: 'matched', value }, match)(path),
      expected,
      `${JSON.stringify(match)} ${value} ${path}`,
    )
  }
  t.end()
})

t.test('uriRegexRewrite replaces everything that it finds, with groups', (t) => {
  const rows = [
    ['^/service/([^/]+)(/.*)$', '\\2/instance/\\1', '/service/foo/v1/api', '/v1/api/instance/foo'],
    ['one', 'two', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/two/zzz'],
    ['^(.*?)one(.*)$', '\\1two\\2', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/one/zzz'],
    ['(?i)/xxx/', '/yyy/', '/aaa/XxX/bbb', '/aaa/yyy/bbb'],
    ['b', '[\\0]', '/abc', '/a[b]c'],
    ['b', '\\1', '/abc', '/ac'],
    ['b', '$&', '/abc', '/a$&c'],
    ['b', '\\\\1', '/abc', '/a\\1c'],
    ['^/', '', '/abc', '/abc'],
    ['(?=x)', 'y', '/x', '/x'],
  ] as const
  for (const [pattern, value, path, expected] of rows) {
    t.equal(compileRewrite({ kind: 'regex', pattern, value }, undefined)(path), expected, `${pattern} ${value}`)
  }
  t.end()
})
