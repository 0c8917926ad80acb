import t from 'tap'
import { asMeshError, type ErrorCode, errorCodes, errorOutcome, MeshError } from '../../../core/base/errors.ts'

t.test('every code has a tunnel status that an HBONE peer understands, and a flag of the access log', (t) => {
  const flags = ['-', 'DENY', 'CONNECT', 'TLS_FAILURE', 'H2_HANDSHAKE_FAILURE', 'NETWORK_POLICY', 'IDENTITY_ERROR']
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    const { tunnelStatus, flag } = errorOutcome(new MeshError(code, ''))
    t.ok([400, 401, 503].includes(tunnelStatus), `${code} answers ${tunnelStatus}`)
    t.ok(flags.includes(flag), `${code} shows ${flag}`)
  }
  t.end()
})

t.test('an error knows its code, whether to try again, and its cause', (t) => {
  const cause = new Error('below')
  const error = new MeshError('STORE_FAILED', 'the store is away', { cause })
  t.match(error, { code: 'STORE_FAILED', retryable: true, message: 'the store is away', cause, name: 'MeshError' })
  t.equal('cause' in new MeshError('ABORTED', ''), false)
  t.end()
})

t.test('anything thrown becomes an error of the mesh, which stays what it was', (t) => {
  const own = new MeshError('ABORTED', 'x')
  t.equal(asMeshError(own, 'SYSTEM_CALL'), own)
  t.match(asMeshError(new Error('y'), 'SYSTEM_CALL'), { code: 'SYSTEM_CALL', message: 'y', cause: { message: 'y' } })
  t.match(asMeshError('z', 'SYSTEM_CALL'), { code: 'SYSTEM_CALL', message: 'z' })
  t.end()
})
