// Who the echo workload says that it is: read once from the environment by main.ts, in the names of the Gateway API
// conformance echo server.

export interface EchoContext {
  readonly namespace: string
  readonly ingress: string
  readonly service: string
  readonly pod: string
  /** Added by Culvert: where it runs. */
  readonly host: string
}

export function contextFrom(environment: Readonly<Record<string, string | undefined>>): EchoContext {
  return {
    namespace: environment['NAMESPACE'] ?? '',
    ingress: environment['INGRESS_NAME'] ?? '',
    service: environment['SERVICE_NAME'] ?? '',
    pod: environment['POD_NAME'] ?? '',
    host: environment['HOST_NAME'] ?? '',
  }
}
