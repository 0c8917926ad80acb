// SPIFFE identities of workloads: `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>` and nothing else.
import { MeshError } from '../base/errors.ts'

export interface Identity {
  readonly trustDomain: string
  readonly namespace: string
  readonly serviceAccount: string
}

const trustDomainPattern = /^[a-z0-9._-]{1,255}$/
const segmentPattern = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

export function formatIdentity(identity: Identity): string {
  return `spiffe://${principalOf(identity)}`
}

/** The identity as policies write it: without the scheme. */
export function principalOf(identity: Identity): string {
  return `${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}`
}

/** Parses a SPIFFE URI of a workload. Throws IDENTITY_INVALID for any other path, an empty part, a port, query or fragment. */
export function parseIdentity(uri: string): Identity {
  const parts = uri.split('/')
  const [scheme, empty, trustDomain = '', ns, namespace = '', sa, serviceAccount = ''] = parts
  const wellFormed =
    parts.length === 7 &&
    scheme === 'spiffe:' &&
    empty === '' &&
    ns === 'ns' &&
    sa === 'sa' &&
    trustDomainPattern.test(trustDomain) &&
    segmentPattern.test(namespace) &&
    segmentPattern.test(serviceAccount)
  if (!wellFormed) {
    throw new MeshError(
      'IDENTITY_INVALID',
      `"${uri}" is not spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`,
    )
  }
  return { trustDomain, namespace, serviceAccount }
}

/** Identity of an agent's own certificate: `spiffe://<trust-domain>/culvert/host/<host>`; never valid as a workload. */
export function hostIdentity(trustDomain: string, host: string): string {
  return `spiffe://${trustDomain}/culvert/host/${host}`
}

/** Identity of the control plane's feed and API server certificate; never valid as a workload. */
export function controlIdentity(trustDomain: string): string {
  return `spiffe://${trustDomain}/culvert/control`
}
