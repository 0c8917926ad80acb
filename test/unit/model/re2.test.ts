// Regular expressions: what RE2 takes and JavaScript does not, and the other way round.
import fc from 'fast-check'
import t from 'tap'
import { foreignToRe2 } from '../../../core/model/fields/re2.ts'

const taken = [
  '/orders/[0-9]+(\\.json)?',
  '^.*$',
  '(?i)abc',
  '(?i:abc)(?-s:.)(?U)',
  '(?P<id>\\d+)',
  '(?<id>\\w{1,10})',
  '[[:alpha:][:^digit:]_]+',
  '[^[:space:]]',
  '\\A/a\\z',
  '\\Qa.b(\\E+',
  '\\p{Greek}\\pL\\P{^Lu}',
  '\\x41\\x{10FFFF}\\t\\n\\a\\C',
  'a\\\\1',
  '\\/\\.\\-\\_',
  '',
  'a{1,1000}',
  '[\\]a]',
  '[]a]',
  '[^]a]+b',
  '[(?=a)*{2000}]',
  '[[a]',
]

for (const expression of taken) {
  t.test(`${expression} is taken`, (t) => {
    t.equal(foreignToRe2(expression), undefined)
    t.end()
  })
}

const refused: readonly (readonly [string, RegExp])[] = [
  ['/a(?!b)', /uses look-ahead or look-behind, which RE2 does not have; write the match without it/],
  ['/a(?=b)', /look-ahead/],
  ['(?<=a)b', /look-behind/],
  ['(?<!a)b', /look-behind/],
  ['(a)\\1', /back references/],
  ['(?P<n>a)(?P=n)', /back references/],
  ['(?<n>a)\\k<n>', /back references/],
  ['(?>a)', /atomic groups/],
  ['a++', /is not a regular expression: nothing to repeat/],
  ['*', /is not a regular expression: nothing to repeat; correct it/],
  ['(a', /is not a regular expression: unterminated group/],
  ['[a', /is not a regular expression/],
  ['a{2000}', /repeats more than 1000 times/],
  ['a{2,2000}', /repeats more than 1000 times/],
  ['a\\Z', /has the escape \\Z, which RE2 does not know/],
  ['\\u0041', /has the escape \\u/],
  ['[]', /is not a regular expression/],
  ['(?#a)', /comments/],
  ['a\\', /is not a regular expression/],
]

for (const [expression, expected] of refused) {
  t.test(`${expression} is refused`, (t) => {
    t.match(foreignToRe2(expression), expected)
    t.end()
  })
}

t.test('no text makes it throw, and plain letters are always taken', (t) => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => ['string', 'undefined'].includes(typeof foreignToRe2(text))),
  )
  const part = fc.constantFrom('a', '(', ')', '[', ']', '\\', '?', '*', '<', '=', '!', 'P', ':', '{', '1', '}', '^')
  const texts = fc.array(part, { maxLength: 30 }).map((parts) => parts.join(''))
  fc.assert(fc.property(texts, (text) => ['string', 'undefined'].includes(typeof foreignToRe2(text))))
  fc.assert(fc.property(fc.stringMatching(/^[a-z/-]*$/), (text) => foreignToRe2(text) === undefined))
  t.end()
})
