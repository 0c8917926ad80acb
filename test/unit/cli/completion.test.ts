import t from 'tap'
import { ownCompletions } from '../../../cli/completion.ts'

t.test('kinds are offered where a kind stands', async (t) => {
  t.ok(ownCompletions(['culvert', 'get', ''])?.includes('services'))
  t.same(ownCompletions(['culvert', 'describe', 'auth']), ['authorizationpolicies'])
  t.same(ownCompletions(['culvert', 'get', 'services,workloade']), ['services,workloadentries'])
})

t.test('files are left to the shell', async (t) => {
  t.same(ownCompletions(['culvert', 'apply', '-f', '']), [])
  t.same(ownCompletions(['culvert', 'get', 'svc', '--kubeconfig', '/et']), [])
})

t.test('everything else is commands and options', async (t) => {
  for (const words of [
    ['culvert', ''],
    ['culvert', 'lab', ''],
    ['culvert', 'get', '-'],
    ['culvert', 'get', 'svc', ''],
  ]) {
    t.equal(ownCompletions(words), undefined, words.join(' '))
  }
})
