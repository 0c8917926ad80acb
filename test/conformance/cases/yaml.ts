// Routes as the tables write them: the parts that all of them share, once.

/** `parent` and `rules` are YAML; rules are the items of a list, at the beginning of the line. */
export function httpRoute(
  name: string,
  rules: string,
  parent = 'name: echo, port: 80',
  namespace = 'conformance',
): string {
  return route('HTTPRoute', name, rules, parent, namespace)
}

export function grpcRoute(name: string, rules: string, parent = 'name: echo, port: 7070'): string {
  return route('GRPCRoute', name, rules, parent, 'conformance')
}

function route(kind: string, name: string, rules: string, parent: string, namespace: string): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: {name: ${name}, namespace: ${namespace}}
spec:
  parentRefs: [{group: "", kind: Service, ${parent}}]
  rules:
${rules
  .trim()
  .split('\n')
  .map((line) => `  ${line}`)
  .join('\n')}
`
}

export function all(...documents: readonly string[]): string {
  return documents.join('---\n')
}

export const prefix = (value: string): string => `path: {type: PathPrefix, value: ${value}}`
export const exact = (value: string): string => `path: {type: Exact, value: ${value}}`
export const to = (name: string, port = 8080): string => `backendRefs: [{name: ${name}, port: ${port}}]`

export const grpcEcho = 'gateway_api_conformance.echo_basic.grpcecho.GrpcEcho'
