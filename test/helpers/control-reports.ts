import type { Control } from '../../control/app.ts'
import type { WorkloadReport } from '../../core/feed/messages.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { enrol, Host, type Test, token } from './control-world.ts'
export function report(
  host: string,
  name: string,
  address: string,
  more: Partial<WorkloadReport> = {},
): WorkloadReport {
  return {
    uid: `${host}/shop/${name}/1`,
    name,
    namespace: 'shop',
    serviceAccount: name,
    addresses: [address],
    labels: { app: name },
    ports: {},
    locality: '',
    weight: 1,
    captured: false,
    uncapturedConnections: 0,
    ...more,
  }
}

export async function host(
  t: Test,
  control: Control,
  stateDir: string,
  name: string,
  identities = ['shop/*'],
  more: object = {},
) {
  return new Host(control, await enrol(control, name, await token(stateDir, name, identities, more))).connect(t)
}

export const service = (name: string, app = name): MeshObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { selector: { app }, ports: [{ port: 80, targetPort: 8080 }] },
})

export const servicesPath = '/api/v1/namespaces/shop/services'
