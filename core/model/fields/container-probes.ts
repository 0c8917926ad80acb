// How the health of a container is found out, and what is done as it starts and stops. container.ts reads it.
import { choice, list, part } from './core-parts.ts'
import { headerName } from './http-headers.ts'
import { int32, oneOf, text, texts, whole } from './parts.ts'
import { portNumberOrName } from './rules.ts'

const portOrName = {
  type: 'int-or-string',
  text: 'Number of the port, or the name of a port of the container.',
  use: { kind: 'enforced', where: 'as the whole' },
  required: true,
  check: portNumberOrName,
} as const

const exec = part('A command in the container; status 0 is success.', {
  command: texts('The command and its arguments.'),
})

const httpGet = part('An HTTP request; statuses 200 to 399 are success.', {
  host: text('Host to connect to; the address of the pod where absent.'),
  path: text('Path of the request.', { default: '/' }),
  port: portOrName,
  scheme: choice('Whether TLS is spoken.', ['HTTP', 'HTTPS'], { default: 'HTTP' }),
  httpHeaders: list(
    'Headers of the request.',
    part('One header.', {
      name: text('Name of the header.', { required: true, check: headerName }),
      value: text('Value of the header.', { required: true }),
    }),
  ),
})

const tcpSocket = part('A TCP connection; being accepted is success.', {
  host: text('Host to connect to; the address of the pod where absent.'),
  port: portOrName,
})

const grpc = part("A request of gRPC's health service.", {
  port: whole('Port of the service.', 1, 65_535, { required: true }),
  service: text('Name of the service that is asked about.', { default: '' }),
})

const sleep = part('A pause.', { seconds: whole('Seconds.', 0, Number.MAX_SAFE_INTEGER, { required: true }) })

export function probe(what: string) {
  return part(
    what,
    {
      exec,
      httpGet,
      tcpSocket,
      grpc,
      initialDelaySeconds: whole('Seconds before the first look.', 0, int32),
      timeoutSeconds: whole('Seconds until a look has failed.', 1, int32, { default: 1 }),
      periodSeconds: whole('Seconds between looks.', 1, int32, { default: 10 }),
      successThreshold: whole('Successes in a row that make it healthy.', 1, int32, { default: 1 }),
      failureThreshold: whole('Failures in a row that make it unhealthy.', 1, int32, { default: 3 }),
      terminationGracePeriodSeconds: whole('Seconds to stop in after a failure.', 1, Number.MAX_SAFE_INTEGER),
    },
    { checks: [oneOf('exec', 'httpGet', 'tcpSocket', 'grpc').check] },
  )
}

function handler(what: string) {
  return part(
    what,
    { exec, httpGet, tcpSocket, sleep },
    { checks: [oneOf('exec', 'httpGet', 'tcpSocket', 'sleep').check] },
  )
}

export const lifecycle = part('What is done as the container starts and stops.', {
  postStart: handler('Right after the start.'),
  preStop: handler('Before the container is stopped.'),
  stopSignal: text('Signal that asks the container to stop.'),
})
