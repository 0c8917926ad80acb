import t from 'tap'
import { locationOf, splitAuthority } from '../../../../core/decide/http/redirect.ts'
import { compileRewrite } from '../../../../core/decide/http/rewrite.ts'
import type { Redirect } from '../../../../core/model/routes.ts'
import { type Asked, request } from '../../../helpers/routing.ts'

function location(redirect: Omit<Redirect, 'status'>, asked: Asked): string {
  const { path } = redirect
  return locationOf({ status: 302, ...redirect }, request(asked), path && compileRewrite(path, undefined))
}

t.test(
  'Gateway API: the port is that of the filter, of its scheme, of the listener; :80 of http and :443 of https are not written',
  (t) => {
    const rows: readonly (readonly [Omit<Redirect, 'status' | 'port'> & { readonly port?: number }, Asked, string])[] =
      [
        [{ host: 'example.org' }, { path: '/a?b=1' }, 'http://example.org/a?b=1'],
        [{ host: 'example.org' }, { port: 8080 }, 'http://example.org:8080/'],
        [{ host: 'example.org', port: 80 }, { port: 8080 }, 'http://example.org/'],
        [{ host: 'example.org', port: 8443 }, {}, 'http://example.org:8443/'],
        [{ scheme: 'https' }, { authority: 'echo:8080', port: 8080 }, 'https://echo/'],
        [{ scheme: 'https', port: 443 }, {}, 'https://echo/'],
        [{ scheme: 'https', port: 8443 }, {}, 'https://echo:8443/'],
        [{ scheme: 'http' }, { scheme: 'https', port: 443 }, 'http://echo/'],
        [{ scheme: 'http', port: 443 }, {}, 'http://echo:443/'],
        [{ scheme: 'https', port: 80 }, {}, 'https://echo:80/'],
        [{}, { authority: 'echo:1234', port: 80 }, 'http://echo/'],
        [{}, { scheme: 'https', authority: '[2001:db8::1]:443', port: 443 }, 'https://[2001:db8::1]/'],
        [{ path: { kind: 'full', value: '/new' } }, { path: '/a?b' }, 'http://echo/new?b'],
        [{ path: { kind: 'segments', prefix: '/a', value: '/x' } }, { path: '/a/b?' }, 'http://echo/x/b?'],
        [{ path: { kind: 'full', value: '//evil.example' } }, {}, 'http://echo//evil.example'],
      ]
    for (const [redirect, asked, expected] of rows) {
      t.equal(location({ port: 'frontend', ...redirect }, asked), expected, expected)
    }
    t.end()
  },
)

t.test("Istio: the authority's own port stays, derivePort and port decide otherwise", (t) => {
  const rows: readonly (readonly [
    Omit<Redirect, 'status' | 'port'> & { readonly port?: Redirect['port'] },
    Asked,
    string,
  ])[] = [
    [{ host: 'new' }, { authority: 'old:8080', port: 8080 }, 'http://new/'],
    [{ host: 'new:9000' }, { authority: 'old' }, 'http://new:9000/'],
    [{ path: { kind: 'full', value: '/x' } }, { authority: 'old:8080' }, 'http://old:8080/x'],
    [{ path: { kind: 'full', value: '/x?y=1' } }, { path: '/a?b' }, 'http://echo/x?y=1'],
    [{ scheme: 'https' }, { authority: 'old:80' }, 'https://old/'],
    [{ scheme: 'https' }, { authority: 'old:8080' }, 'https://old:8080/'],
    [{ scheme: 'https', port: 'scheme' }, { authority: 'old:8080' }, 'https://old/'],
    [{ port: 'request-port' }, { authority: 'old', port: 8080 }, 'http://old:8080/'],
    [{ port: 8443 }, { authority: 'old:1' }, 'http://old:8443/'],
    [{ port: 80 }, { authority: 'old:1' }, 'http://old/'],
  ]
  for (const [redirect, asked, expected] of rows) {
    t.equal(location({ port: 'request', ...redirect }, asked), expected, expected)
  }
  t.end()
})

t.test('an authority is split into host and port', (t) => {
  t.same(splitAuthority('a:1'), { host: 'a', port: 1 })
  t.same(splitAuthority('a'), { host: 'a', port: undefined })
  t.same(splitAuthority('[::1]'), { host: '[::1]', port: undefined })
  t.same(splitAuthority('[::1]:80'), { host: '[::1]', port: 80 })
  t.same(splitAuthority('::1'), { host: '::1', port: undefined })
  t.end()
})
