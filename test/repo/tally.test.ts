import t from 'tap'
import { Tally } from '../tally.ts'

function count(text: string, problem?: string) {
  const said: string[] = []
  const tally = new Tally((line) => said.push(line))
  for (const line of text.split('\n')) tally.line(line)
  return { ...tally.end(problem), said: said.join('\n') }
}

const passing = `TAP version 14
1..2
# Subtest: a.test.ts
    # Subtest: one
        ok 1 - should be equal
        # Subtest: nested
            ok 1 - should be equal
            1..1
        ok 2 - nested
        1..2
    ok 1 - one # time=2.7ms
    ok 2 - an issue \\# SKIP is only a name
    1..2
ok 1 - a.test.ts # time=25.5ms
`
const failing = `# Subtest: b.test.ts
    # Subtest: two
        not ok 1 - should be equal
          ---
          diff: |
            -1
          ...
        1..1
    not ok 1 - two # time=1ms
    ok 2 - three
    1..2
not ok 2 - b.test.ts # time=3ms
  ---
  exitCode: 1
  ...
`

t.test('tests are the sentences of a file, neither assertions nor files', (t) => {
  t.match(count(passing), { passed: 2, failed: 0, said: /ok {3}a\.test\.ts {2}2 tests {2}25\.5ms/ })
  t.end()
})

t.test('a failing test is counted once and shown, its passing neighbours are not', (t) => {
  const result = count(passing + failing, 'tap ended with status 1')
  t.match(result, { passed: 3, failed: 1, said: /FAIL b\.test\.ts {2}1 of 2/ })
  t.match(result.said, /not ok 1 - two/)
  t.match(result.said, /diff: \|/)
  t.match(result.said, /exitCode: 1/)
  t.notMatch(result.said, /three/)
  t.end()
})

t.test('a table of scenarios counts by its scenarios', (t) => {
  const table = (inner: string, outer: string) => `# Subtest: a.test.ts
    # Subtest: scenarios
        ok 1 - an assertion of its own
        # Subtest: first
            ok 1 - should be equal
            1..1
        ok 2 - first
        # Subtest: second
            ${inner} 1 - should be equal
            1..1
        ${inner} 3 - second
        1..3
    ${outer} 1 - scenarios
    1..1
${outer} 1 - a.test.ts
`
  t.match(count(table('ok', 'ok')), { passed: 2, failed: 0 })
  t.match(count(table('not ok', 'not ok')), { passed: 1, failed: 1 }, 'the table does not fail a second time')
  t.match(count(table('ok', 'not ok')), { passed: 2, failed: 1 }, 'unless it fails for itself')
  t.end()
})

t.test('what is left out has failed, at any depth', (t) => {
  for (const directive of ['# SKIP not root', '# TODO', '# skip']) {
    const text = `# Subtest: a.test.ts\n    ok 1 - one\n    ok 2 - two ${directive}\n    1..2\nok 1 - a.test.ts\n`
    t.match(count(text), { passed: 1, failed: 1, said: /left out/ }, directive)
    const inner = `# Subtest: a.test.ts\n    # Subtest: one\n        ok 1 - x ${directive}\n        1..1\n    ok 1 - one\nok 1 - a.test.ts\n`
    t.match(count(inner), { failed: 1, said: /left out/ }, `${directive} inside a test`)
  }
  t.end()
})

t.test('a file without tests has failed', (t) => {
  const text = '# Subtest: a.test.ts\n    1..0 # no tests found\nok 1 - a.test.ts # SKIP no tests found\n'
  t.match(count(text), { passed: 0, failed: 1 })
  t.end()
})

t.test('a file that crashed after its tests has failed', (t) => {
  const text = `# Subtest: a.test.ts\n    ok 1 - one\n    1..1\nnot ok 1 - a.test.ts\n  ---\n  exitCode: 3\n  ...\n`
  t.match(count(text, 'tap ended with status 1'), { passed: 1, failed: 1, said: /exitCode: 3/ })
  t.end()
})

t.test('a runner that died, inside a file or before any, has failed', (t) => {
  t.match(count('', 'tap ended with SIGKILL'), { passed: 0, failed: 1, said: /SIGKILL/ })
  t.match(count('# Subtest: a.test.ts\n    ok 1 - one\n'), { passed: 1, failed: 1 })
  t.match(count(passing, 'tap ended with status 1'), { passed: 2, failed: 1 }, 'for a reason that no test shows')
  t.match(count(''), { passed: 0, failed: 1 }, 'nothing at all')
  t.match(count(`${passing}Bail out! no reason\n`), { failed: 1 })
  t.end()
})
