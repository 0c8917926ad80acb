import * as fc from 'fast-check'
import t from 'tap'
import { linearRegex } from '../../../../core/decide/http/regex.ts'

function matches(source: string, text: string): boolean {
  const regex = linearRegex(source, true)
  if ('problem' in regex) throw new Error(`${source}: ${regex.problem}`)
  return regex.expression.test(text)
}

/** RE2 expression, texts that it takes, texts that it does not. */
const rows: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['/v[0-9]+', ['/v1', '/v22'], ['/v', '/v1/', 'x/v1']],
  ['a|b', ['a', 'b'], ['ab', 'ca', 'bc']],
  ['^a$', ['a'], ['aa']],
  ['(?i)Abc', ['abc', 'ABC'], ['abd']],
  ['a(?i)b|c', ['ab', 'aB', 'C', 'c'], ['Ab']],
  ['a(?i:b)c', ['aBc', 'abc'], ['abC']],
  ['(?i)[a-c_]+', ['aB_', 'C'], ['d', '-']],
  ['(?i)[[:lower:]]', ['a', 'Z'], ['1']],
  ['[[:alpha:]_]+', ['aZ_'], ['a1']],
  ['[]a]+', [']a'], ['b']],
  ['[^]a]', ['b'], [']', 'a']],
  ['[a\\]-]+', ['a]-'], ['b']],
  ['(?P<id>[0-9]+)', ['12'], ['a']],
  ['\\Qa.b\\E+', ['a.b'], ['axb']],
  ['[0-9a-f]{8}-[0-9a-f]{32}', [`${'a'.repeat(8)}-${'0'.repeat(32)}`], [`${'a'.repeat(8)}-${'0'.repeat(31)}`]],
  ['a{2,40}', ['aa', 'a'.repeat(40)], ['a', 'a'.repeat(41)]],
  ['a{20,}', ['a'.repeat(20), 'a'.repeat(99)], ['a'.repeat(19)]],
  ['(?:ab){1,20}', ['ab', 'ab'.repeat(20)], ['', 'ab'.repeat(21)]],
  ['\\x41\\x{42}', ['AB'], ['ab']],
  ['\\d\\w\\s', ['1a '], ['aa ']],
  ['[\\d\\s.]+', ['1 .'], ['a']],
  ['.', ['a'], ['\n', 'ab']],
  ['(?s).', ['\n'], ['']],
  ['\\Aa\\z', ['a'], ['b']],
  ['', [''], ['a']],
  ['a/b\\.c', ['a/b.c'], ['a/bxc']],
  ['(a?){16}b', ['b', 'aab'], ['c']],
]

t.test('expressions mean what they mean in RE2, for the whole text', (t) => {
  for (const [source, yes, no] of rows) {
    for (const text of yes) t.ok(matches(source, text), `${source} takes ${JSON.stringify(text)}`)
    for (const text of no) t.notOk(matches(source, text), `${source} does not take ${JSON.stringify(text)}`)
  }
  t.end()
})

t.test('expressions that make backtracking engines take for ever are done in linear time', (t) => {
  const text = `${'a'.repeat(8000)}!`
  // with backtracking each of these takes longer than the universe is old
  for (const source of ['(a+)+', '(a*)*', '(a|a)*', '(a|aa)+', '(.*a){12}', '(?i)(a+)+', '([a-z]+)*', 'a*a*a*a*a*a*']) {
    t.notOk(matches(source, text), source)
  }
  t.end()
})

t.test('what cannot be used is said, and never an exception', (t) => {
  for (const source of [
    '(',
    ')',
    '[',
    'a{3,1}',
    '*a',
    'a**',
    'a{2}{3}',
    '(?=a)',
    '(?<!a)b',
    '(a)\\1',
    '\\pL',
    '\\k<a>',
    '[z-a]',
    '\\x{1F600}',
  ]) {
    t.match(linearRegex(source, true), { problem: String }, source)
  }
  t.match(linearRegex('(?:[a-z]{1000}){1000}', true), { problem: /written out/ })
  t.match(linearRegex('('.repeat(200), true), { problem: /too deep/ })
  t.end()
})

t.test('on ordinary expressions it agrees with the ordinary engine', (t) => {
  const leaf = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', 'ab')
  const { tree } = fc.letrec<{ tree: string }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc
        .tuple(tie('tree'), fc.constantFrom('*', '+', '?', '{2}', '{0,2}', '{1,18}'))
        .map(([inner, times]) => `(?:${inner})${times}`),
      fc.tuple(tie('tree'), tie('tree')).map(([first, second]) => `${first}${second}`),
      fc.tuple(tie('tree'), tie('tree')).map(([first, second]) => `(${first}|${second})`),
    ),
  }))
  const text = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 }).map((letters) => letters.join(''))
  fc.assert(
    fc.property(tree, text, (source, text) => {
      const regex = linearRegex(source, true)
      if ('problem' in regex) return
      const expected = new RegExp(`^(?:${source})$`).test(text)
      if (regex.expression.test(text) !== expected) throw new Error(`${source} ${text} ${expected}`)
    }),
    { numRuns: 1500 },
  )
  t.end()
})
