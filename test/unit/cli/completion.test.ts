import t from 'tap'
import { type CompletionSource, optionOf, ownCompletions } from '../../../cli/completion.ts'

const asked: string[] = []
const source: CompletionSource = {
  names: async (kind, namespace) => {
    asked.push(`${kind} in ${namespace ?? '-'}`)
    return ['orders', 'other', 'x']
  },
  namespaces: async () => ['default', 'shop'],
  contexts: async () => ['prod', 'test'],
  ends: async () => ['client.shop', 'orders.shop'],
  labs: async () => ['lab', 'demo'],
  labWorkloads: async (lab) => [`client.${lab}`],
  labProcesses: async () => ['control', 'daemon@h1'],
}
const complete = (line: string) => ownCompletions(`culvert ${line}`.split(' '), source)

t.test('kinds are offered where a kind stands', async (t) => {
  t.ok((await complete('get '))?.includes('services'))
  t.same(await complete('describe authorizationp'), ['authorizationpolicies'])
  t.same(await complete('get services,workloade'), ['services,workloadentries'])
  t.ok((await complete('get -n shop '))?.includes('services'), 'options before it do not matter')
})

t.test('names of objects are offered behind their kind, each once', async (t) => {
  asked.length = 0
  t.same(await complete('get svc o'), ['orders', 'other'])
  t.same(await complete('get svc -n shop orders o'), ['other'])
  t.same(await complete('delete --namespace=shop svc/o'), ['svc/orders', 'svc/other'])
  t.same(asked, ['svc in -', 'svc in shop', 'svc in shop'])
  t.same(await complete('label ns '), ['orders', 'other', 'x'])
  t.same(await complete('label ns shop '), [], 'a label is nobody else to guess')
})

t.test('namespaces, contexts, labs and what is in them are offered where they stand', async (t) => {
  t.same(await complete('get svc -n s'), ['shop'])
  t.same(await complete('status --context '), ['prod', 'test'])
  t.same(await complete('context use p'), ['prod'])
  t.same(await complete('lab exec '), ['client.lab'])
  t.same(await complete('lab exec --name demo '), ['client.demo'])
  t.same(await complete('lab stop d'), ['daemon@h1'])
  t.same(await complete('lab down --name d'), ['demo'])
  t.same(await complete('explain client.shop o'), ['orders.shop'])
  t.same(await complete('completion '), ['bash', 'zsh'])
})

t.test('files are left to the shell', async (t) => {
  t.same(await complete('apply -f '), [])
  t.same(await complete('get svc --kubeconfig /et'), [])
})

t.test('a mesh that does not answer offers nothing, and no error', async (t) => {
  const away = { ...source, names: () => Promise.reject(new Error('nothing listens there')) }
  t.same(await ownCompletions(['culvert', 'get', 'svc', ''], away), [])
})

t.test('everything else is commands and options', async (t) => {
  for (const line of ['', 'lab ', 'get -', 'get svc -o ', 'context ', 'status ']) {
    t.equal(await complete(line), undefined, line)
  }
})

t.test('an option is found in both of its forms', async (t) => {
  t.equal(optionOf(['get', '-n', 'a'], ['-n', '--namespace']), 'a')
  t.equal(optionOf(['get', '--namespace=b'], ['-n', '--namespace']), 'b')
  t.equal(optionOf(['get'], ['-n']), undefined)
})
