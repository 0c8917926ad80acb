// Which changes of an object's conditions are news.
import t from 'tap'
import { conditionEvents } from '../../../control/events/mesh-events.ts'
import type { Condition } from '../../../core/model/resource.ts'
import { policy } from '../../helpers/compile-objects.ts'

const programmed = (status: 'True' | 'False', reason: string, message = ''): Condition => ({
  type: 'Programmed',
  status,
  reason,
  message,
})
const accepted = (status: 'True' | 'False', reason: string, message = ''): Condition => ({
  type: 'Accepted',
  status,
  reason,
  message,
})
const told = (before: readonly Condition[], after: readonly Condition[]): readonly string[] =>
  conditionEvents(policy('p', {}), before, after).map(({ type, reason, message }) => `${type} ${reason} ${message}`)

t.test('trouble is told when it begins, and once it is over', async (t) => {
  const good = programmed('True', 'Programmed')
  const refused = programmed('False', 'Refused', 'h1 could not take it: too large')
  t.same(told([good], [refused]), ['Warning Refused h1 could not take it: too large'])
  t.same(told([refused], [refused]), [])
  t.same(told([refused], [good]), ['Normal Programmed in force on every host'])
  t.same(told([], [good]), [], 'that all is well from the beginning is no news')
  t.same(told([good], [good]), [])
})

t.test('what is only on its way, or will never be in force, is no event', async (t) => {
  for (const reason of ['Pending', 'NotEnforced', 'Invalid']) t.same(told([], [programmed('False', reason)]), [])
  t.same(told([programmed('False', 'NotEnforced')], [programmed('True', 'Programmed')]), [])
})

t.test('another host that is away is the same trouble, another refusal is not', async (t) => {
  const away = (hosts: string) => programmed('False', 'HostAway', `${hosts} still does what it was told before`)
  t.same(told([away('h1')], [away('h1, h2')]), [])
  const refused = (text: string) => programmed('False', 'Refused', text)
  t.same(told([refused('a')], [refused('b')]), ['Warning Refused b'])
})

t.test('an object that is not accepted says why, as an event of just this object', async (t) => {
  const bad = accepted('False', 'Invalid', 'spec.rules[0]: nothing can match')
  t.same(told([], [bad, programmed('False', 'Invalid')]), ['Warning Invalid spec.rules[0]: nothing can match'])
  t.same(told([bad], [accepted('True', 'Accepted')]), ['Normal Accepted accepted'])
  const [event] = conditionEvents(policy('p', {}), [], [bad])
  t.match(event?.object, { apiVersion: /^security\.istio\.io/, kind: 'AuthorizationPolicy', name: 'p' })
})
