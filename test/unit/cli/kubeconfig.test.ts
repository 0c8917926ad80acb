import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { kubeconfigFile, parseKubeconfig, readConnection } from '../../../cli/kubeconfig.ts'

const config = (user: string, cluster = 'server: https://127.0.0.1:6443'): string => `
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u, namespace: shop}}, {name: d, context: {cluster: k, user: nobody}}]
clusters: [{name: k, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
`

t.test(
  'the flag wins, then the state directory, then CULVERT_KUBECONFIG, KUBECONFIG and the home folder',
  async (t) => {
    const environment = { CULVERT_KUBECONFIG: '/own', KUBECONFIG: ':/first:/second', HOME: '/home/u' }
    t.equal(kubeconfigFile({ kubeconfig: '/flag', stateDir: '/s' }, environment), '/flag')
    t.equal(kubeconfigFile({ stateDir: '/s' }, environment), '/s/kubeconfig')
    t.equal(kubeconfigFile({}, environment), '/own')
    t.equal(kubeconfigFile({}, { ...environment, CULVERT_KUBECONFIG: '' }), '/first')
    t.equal(kubeconfigFile({}, { HOME: '/home/u' }), '/home/u/.kube/config')
  },
)

t.test('token, namespace and inline CA are read', async (t) => {
  const data = Buffer.from('PEM').toString('base64')
  const cluster = `server: https://h:1, certificate-authority-data: ${data}`
  t.match(parseKubeconfig(config('token: abc', cluster), 'f'), { ca: 'PEM', token: 'abc', namespace: 'shop' })
  t.equal(parseKubeconfig(config('token: abc'), 'f', 'd').token, undefined, 'a context without a known user')
})

t.test('files that the kubeconfig names are relative to it', async (t) => {
  const folder = t.testdir({ 'ca.pem': 'CA', token: 'secret\n' })
  const text = config('tokenFile: token', 'server: https://h:1, certificate-authority: ca.pem')
  const file = join(folder, 'config')
  writeFileSync(file, text)
  t.match(readConnection({ kubeconfig: file }, {}), { ca: 'CA', token: 'secret' })
})

t.test('what cannot be used is refused with the name of the file', async (t) => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['[]', /f is not a kubeconfig/],
    ['a: [', /^f: /],
    [config('token: x', 'server: http://h:1'), /https only/],
    [config('token: x', 'server: ""'), /no usable server/],
    [config('token: x').replace('current-context: c', 'current-context: z'), /no context "z"/],
    [config('token: x').replace('cluster: k,', 'cluster: other,'), /no cluster "other"/],
    [config('client-certificate: /nowhere/cert'), /cannot be read/],
  ]
  for (const [text, message] of cases) t.throws(() => parseKubeconfig(text, 'f'), { code: 'CONFIG_INVALID', message })
  t.throws(() => readConnection({ kubeconfig: '/nowhere' }, {}), { message: /culvert kubeconfig --state-dir/ })
})
