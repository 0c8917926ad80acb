// A container of a Pod: its image, ports, environment, resources. pod.ts reads it.
import { env, envFrom, pullPolicy } from './container-env.ts'
import { lifecycle, probe } from './container-probes.ts'
import { amounts, choice, list, listBy, orEmpty, part } from './core-parts.ts'
import type { FieldTable, ObjectCheck } from './field.ts'
import { flag, port, text, texts, whole } from './parts.ts'
import { clip, dnsLabel, ipAddress, portName } from './rules.ts'
import { containerSecurity } from './security-context.ts'

const image = (value: string): string | undefined => {
  if (value !== value.trim()) return `"${clip(value)}" starts or ends with a space`
  return /\s/.test(value) ? `"${clip(value)}" has a space in it` : undefined
}

const containerPort = part('One port.', {
  name: text('Name, by which Services and probes may call the port.', { check: orEmpty(portName) }),
  containerPort: port('Number of the port.', { required: true }),
  protocol: choice('Transport protocol.', ['TCP', 'UDP', 'SCTP'], { default: 'TCP' }),
  hostIP: text('Address of the host on which the port is opened too.', { check: orEmpty(ipAddress) }),
  hostPort: whole('Port of the host that leads here.', 0, 65_535),
})

const limitsCover: ObjectCheck = (resources, report) => {
  const { limits = {}, requests = {} } = resources as {
    limits?: Record<string, unknown>
    requests?: Record<string, unknown>
  }
  for (const name of Object.keys(requests)) {
    const [asked, most] = [plainNumber(requests[name]), plainNumber(limits[name])]
    if (asked !== undefined && most !== undefined && asked > most) {
      report(['requests', name], `is more than the limit of ${String(limits[name])}`)
    }
  }
}

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

function plainNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  const [, digits, unit = ''] = /^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(String(value)) ?? []
  const number = Number(digits) * (unit === '' ? 1 : (factors[unit] ?? Number.NaN))
  return Number.isNaN(number) ? undefined : number
}

export const resources = part(
  'Resources that are reserved and the most that may be used.',
  {
    limits: amounts('The most that may be used.'),
    requests: amounts('What is reserved.'),
    claims: list(
      'Claims of devices.',
      part('One claim.', {
        name: text('Name of an entry of resourceClaims.', { required: true }),
        request: text('A request of the claim; all where absent.'),
      }),
      { listType: 'map', mapKeys: ['name'] },
    ),
  },
  { checks: [limitsCover] },
)

const volumeMount = part('One volume.', {
  name: text('Name of the volume.', { required: true }),
  mountPath: text('Path in the container.', { required: true, minLength: 1 }),
  mountPropagation: choice('Whether mounts inside are passed on.', ['None', 'HostToContainer', 'Bidirectional']),
  readOnly: flag('Whether it cannot be written.'),
  recursiveReadOnly: choice('Whether mounts inside cannot be written either.', ['Disabled', 'IfPossible', 'Enabled']),
  subPath: text('Path in the volume.'),
  subPathExpr: text('Path in the volume, with $(NAME) of the environment.'),
})

const restartRule = part('What one exit means.', {
  action: choice('What is done.', ['Restart', 'RestartAllContainers'], { required: true }),
  exitCodes: part('Exit codes that it is for.', {
    operator: choice('Whether the codes are those, or all others.', ['In', 'NotIn'], { required: true }),
    values: list('Exit codes.', whole('One code.', 0, 255), { listType: 'set' }),
  }),
})

const resizeRule = part('What happens at a change of one resource.', {
  resourceName: text('Name of the resource.', { required: true }),
  restartPolicy: choice('Whether the container restarts.', ['NotRequired', 'RestartContainer'], { required: true }),
})

const distinctPortNames: ObjectCheck = (container, report) => {
  const ports = (container['ports'] as readonly { readonly name?: string }[] | undefined) ?? []
  const seen = new Map<string, number>()
  for (const [index, { name = '' }] of ports.entries()) {
    const first = seen.get(name)
    if (first !== undefined)
      report(['ports', index, 'name'], `"${name}" is used already by ports[${first}]`, 'duplicate')
    else if (name !== '') seen.set(name, index)
  }
}

const imageIsGiven: ObjectCheck = (container, report) => {
  if (((container['image'] as string | undefined) ?? '') === '') report(['image'], 'is required', 'required')
}

const containerFields = {
  name: text('Name, unique in the pod.', { required: true, check: dnsLabel }),
  image: text('Image that is run.', { check: image }),
  command: texts("What is run instead of the image's entry point."),
  args: texts('Arguments of the entry point.'),
  workingDir: text('Directory in which it is run.'),
  ports: {
    ...list('Ports that the container listens on.', containerPort, { listType: 'map' }),
    mapKeys: ['containerPort', 'protocol'],
    patch: { strategy: 'merge', mergeKey: 'containerPort' },
  },
  envFrom,
  env,
  resources: { ...resources, default: {} },
  resizePolicy: list('What happens as resources change.', resizeRule),
  restartPolicy: choice('When the container is started again; Always makes an init container a sidecar.', [
    'Always',
    'OnFailure',
    'Never',
  ]),
  restartPolicyRules: list('Exits after which restartPolicy does not decide.', restartRule),
  volumeMounts: listBy('mountPath', 'Volumes that the container sees.', volumeMount),
  volumeDevices: listBy(
    'devicePath',
    'Block devices that the container sees.',
    part('One device.', {
      name: text('Name of the volume.', { required: true }),
      devicePath: text('Path in the container.', { required: true, minLength: 1 }),
    }),
  ),
  livenessProbe: probe('Whether the container must be restarted.'),
  readinessProbe: probe('Whether the container takes traffic.'),
  startupProbe: probe('Whether the container has started.'),
  lifecycle,
  terminationMessagePath: text('File with the last words of the container.', { default: '/dev/termination-log' }),
  terminationMessagePolicy: choice('Where the last words come from.', ['File', 'FallbackToLogsOnError'], {
    default: 'File',
  }),
  imagePullPolicy: pullPolicy,
  securityContext: containerSecurity,
  stdin: flag('Whether standard input stays open.'),
  stdinOnce: flag('Whether standard input closes after the first session.'),
  tty: flag('Whether there is a terminal.'),
} as const satisfies FieldTable

const checks = [imageIsGiven, distinctPortNames]

export const container = part('One container.', containerFields, { checks })

export const ephemeralContainer = part(
  'One container for looking into the pod.',
  { ...containerFields, targetContainerName: text('Container whose processes it sees.') },
  { checks },
)
