import t from 'tap'
import { checkControlIdentity } from '../../../core/feed/dial.ts'

t.test('only a certificate whose one URI is the control identity of the mesh is the control plane', async (t) => {
  const control = 'URI:spiffe://td/culvert/control'
  t.equal(checkControlIdentity('td', { subjectaltname: control }), undefined)
  t.equal(checkControlIdentity('td', { subjectaltname: `${control}, DNS:localhost, IP Address:127.0.0.1` }), undefined)
  const others = [
    undefined,
    '',
    'DNS:td',
    'URI:spiffe://other/culvert/control',
    'URI:spiffe://td/culvert/host/h1',
    'URI:spiffe://td/ns/culvert/sa/control',
    `${control}/x`,
    `${control}, URI:spiffe://td/ns/a/sa/b`,
    'DNS:"x, URI:spiffe://td/culvert/control"',
  ]
  for (const subjectaltname of others) {
    const certificate = subjectaltname === undefined ? {} : { subjectaltname }
    const error = checkControlIdentity('td', certificate as { subjectaltname: string })
    t.match(error, { code: 'IDENTITY_INVALID' }, String(subjectaltname))
  }
})
