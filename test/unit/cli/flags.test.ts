import t from 'tap'
import { plainFlags } from '../../../cli/commands/process.ts'

const known = ['--state-dir', '--workers']

t.test('plain flags are read without the parser of all commands', (t) => {
  t.same(plainFlags([], known), {})
  t.same(plainFlags(['--state-dir', '/a=b', '--workers=2'], known), { 'state-dir': '/a=b', workers: '2' })
  t.end()
})

t.test('whatever is not plain is left to the parser', (t) => {
  for (const words of [
    ['--help'],
    ['-h'],
    ['--workers'],
    ['--workers='],
    ['--workers', '--state-dir', 'x'],
    ['--workers', '1', '--workers', '2'],
    ['--wrokers', '1'],
    ['--stateDir', 'x'],
    ['x'],
    ['--', '--workers', '1'],
    ['--version'],
  ]) {
    t.equal(plainFlags(words, known), undefined, words.join(' '))
  }
  t.end()
})
