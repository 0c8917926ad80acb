import t from 'tap'
import { parseOptions } from '../../../bench/options.ts'
import { benchTopology, hostsOf, subjects } from '../../../bench/subjects.ts'

const known = ['requests', 'requests-32', 'bulk']
const options = (...words: readonly string[]) => parseOptions(words, known)

t.test('without flags everybody is measured, five rounds, and the results are kept', (t) => {
  const { quick, subjects: chosen, uncaptured, rounds, workers, output, profile } = options()
  t.same(
    { quick, chosen, uncaptured, rounds, workers, output, profile },
    {
      quick: false,
      chosen: subjects,
      uncaptured: ['haproxy', 'nginx', 'stunnel'],
      rounds: 5,
      workers: 1,
      output: 'bench/results/latest.json',
      profile: undefined,
    },
  )
  t.end()
})

t.test('the quick run has Culvert and HAProxy alone and overwrites no results', (t) => {
  t.match(options('--quick'), { subjects: ['culvert', 'haproxy'], uncaptured: [], rounds: 3, output: undefined })
  t.match(options('--quick', '--rounds', '5', '-o', 'x.json'), { rounds: 5, output: 'x.json' })
  t.end()
})

t.test('subjects come in the order of the table, whatever the order of the words', (t) => {
  t.same(options('--subjects', 'haproxy,direct').subjects, ['direct', 'haproxy'])
  t.same(options('--subjects', 'haproxy', '--no-uncaptured').uncaptured, [])
  t.end()
})

t.test('what is wrong is named', (t) => {
  t.throws(() => options('--subjects', 'envoy'), /--subjects: no envoy; there are direct, culvert/)
  t.throws(() => options('--scenarios', 'requests,nothing'), /--scenarios: no nothing; there are requests, requests-32/)
  t.throws(() => options('--rounds', '0'), /--rounds: expected a number above 0, found "0"/)
  t.throws(() => options('--rounds', '1.5'), /--rounds: expected a whole number/)
  t.throws(() => options('--seconds', 'x'), /--seconds/)
  t.throws(() => options('--workers='), /--workers/)
  t.throws(() => options('--fast'), { code: 'CONFIG_INVALID' })
  t.throws(() => options('requests'), { code: 'CONFIG_INVALID' })
  t.end()
})

t.test('every subject has a client and a server on different hosts, the old engine on hosts of its own', (t) => {
  const { hosts, workloads } = benchTopology(subjects)
  t.same(hosts, ['h1', 'h2', 'h3', 'h4'])
  t.equal(workloads.length, 2 * subjects.length)
  const old = hostsOf('culvert-node-http2')
  for (const { name, namespace, host } of workloads) {
    t.equal(old.includes(host), name.startsWith('culvert-node-http2'), name)
    t.equal(namespace, name.startsWith('culvert') ? 'mesh' : 'plain', name)
  }
  t.same(benchTopology(['culvert', 'haproxy']).hosts, ['h1', 'h2'])
  t.end()
})
