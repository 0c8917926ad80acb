import t from 'tap'
import { complaintOf, systemComplaint, usageOf } from '../../../cli/complaints.ts'

const commands = ['get', 'apply', 'lab', 'token', 'demo']

t.test('a wrong command line is explained in words of the command', async (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['gt svc', 'Did you mean x?', 'there is no command "gt"; did you mean "get"?'],
    ['foo', 'Unknown argument: foo', 'there is no command "foo"'],
    ['lab', 'Not enough non-option arguments: got 0, need at least 1', 'name what to do: up, down, exec'],
    ['lab --name x', 'Not enough non-option arguments: got 0, need at least 1', 'name what to do: up, down, exec'],
    ['lab dwn', 'Unknown argument: dwn', 'there is no command "lab dwn"; did you mean "down"?'],
    ['get', 'Not enough non-option arguments: got 0, need at least 1', 'an argument is missing'],
    ['lab exec a curl -s b', 'Unknown argument: s', 'Put -- before the command'],
    ['get svc --bad', 'Unknown argument: bad', 'there is no option --bad'],
    ['get svc --selecter=x', 'Unknown argument: selecter', 'there is no option --selecter; did you mean "--selector"?'],
    ['demo now', 'Unknown argument: now', '"now" is one argument too many'],
    ['--bad', 'name a command', 'name a command'],
  ]
  for (const [line, message, expected] of cases) {
    t.ok(complaintOf(message, line.split(' '), commands, ['selector', 'n']).includes(expected), line)
  }
})

t.test('help is looked for where the command is known', async (t) => {
  t.equal(usageOf(['lab', 'up', '--bad'], commands), 'culvert lab up')
  t.equal(usageOf(['lab', 'foo'], commands), 'culvert lab')
  t.equal(usageOf(['get', 'svc'], commands), 'culvert get')
  t.equal(usageOf(['foo'], commands), 'culvert')
})

t.test('an error of the system is one line without a stack, any other is not touched', async (t) => {
  const denied = Object.assign(new Error('x'), { syscall: 'mkdir', code: 'EACCES', path: '/var/lib/culvert' })
  t.equal(systemComplaint(denied), 'cannot mkdir /var/lib/culvert: permission denied (EACCES)')
  const busy = Object.assign(new Error('x'), {
    syscall: 'listen',
    code: 'EADDRINUSE',
    address: '127.0.0.1',
    port: 15010,
  })
  t.equal(systemComplaint(busy), 'cannot listen 127.0.0.1:15010: the address is in use by another process (EADDRINUSE)')
  const rare = Object.assign(new Error('it is rare'), { syscall: 'open', code: 'EMFILE' })
  t.equal(systemComplaint(rare), 'it is rare')
  t.equal(systemComplaint(new Error('a defect')), undefined)
  t.equal(systemComplaint('text'), undefined)
})
