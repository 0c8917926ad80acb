import t from 'tap'
import { MeshError } from '../../../core/base/errors.ts'
import { errnoOf } from '../../../core/net/errno.ts'

t.test('the system error behind an error is found through its causes', (t) => {
  const system = Object.assign(new Error('bind'), { code: 'EADDRINUSE', errno: 98 })
  t.equal(errnoOf(new MeshError('SYSTEM_CALL', 'x', { cause: new Error('y', { cause: system }) })), 'EADDRINUSE')
  t.equal(errnoOf(new MeshError('SYSTEM_CALL', 'x')), undefined, 'a code of the mesh is no system error')
  t.equal(errnoOf('EADDRINUSE'), undefined)
  const circle = new Error('circle')
  circle.cause = circle
  t.equal(errnoOf(circle), undefined)
  t.end()
})
