// What must hold between the parts of a Pod: containers are told apart by name, mounts name volumes, ports of the host are free.
import type { ObjectCheck } from './field.ts'

interface PortLike {
  readonly containerPort: number
  readonly hostPort?: number
  readonly hostIP?: string
  readonly protocol?: string
}

interface ContainerLike {
  readonly name: string
  readonly ports?: readonly PortLike[]
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
  readonly volumeDevices?: readonly { readonly name: string }[]
}

const lists = ['initContainers', 'containers', 'ephemeralContainers'] as const

interface PlacedContainer {
  readonly at: readonly [string, number]
  readonly container: ContainerLike
}

function containersOf(spec: Readonly<Record<string, unknown>>): readonly PlacedContainer[] {
  return lists.flatMap((list) =>
    ((spec[list] as readonly ContainerLike[] | undefined) ?? []).map((container, index) => {
      return { at: [list, index] as const, container }
    }),
  )
}

const distinctNames: ObjectCheck = (spec, report) => {
  const seen = new Map<string, string>()
  for (const { at, container } of containersOf(spec)) {
    const first = seen.get(container.name)
    if (first !== undefined) report([...at, 'name'], `"${container.name}" is used already by ${first}`, 'duplicate')
    else seen.set(container.name, `${at[0]}[${at[1]}]`)
  }
}

const distinctVolumes: ObjectCheck = (spec, report) => {
  const seen = new Map<string, number>()
  for (const [index, { name }] of ((spec['volumes'] as readonly { name: string }[] | undefined) ?? []).entries()) {
    const first = seen.get(name)
    if (first !== undefined)
      report(['volumes', index, 'name'], `"${name}" is used already by volumes[${first}]`, 'duplicate')
    else seen.set(name, index)
  }
}

const mountsExist: ObjectCheck = (spec, report) => {
  const volumes = new Set(((spec['volumes'] as readonly { name: string }[] | undefined) ?? []).map(({ name }) => name))
  for (const { at, container } of containersOf(spec)) {
    const paths = new Set<string>()
    for (const [index, { name, mountPath }] of (container.volumeMounts ?? []).entries()) {
      const mount = [...at, 'volumeMounts', index]
      if (!volumes.has(name)) report([...mount, 'name'], `"${name}" is not a volume of the pod: add it to spec.volumes`)
      if (paths.has(mountPath)) report([...mount, 'mountPath'], `"${mountPath}" is mounted twice`, 'duplicate')
      paths.add(mountPath)
    }
    for (const [index, { name }] of (container.volumeDevices ?? []).entries()) {
      if (volumes.has(name)) continue
      report([...at, 'volumeDevices', index, 'name'], `"${name}" is not a volume of the pod: add it to spec.volumes`)
    }
  }
}

const hostPorts: ObjectCheck = (spec, report) => {
  const seen = new Map<string, string>()
  for (const { at, container } of containersOf(spec)) {
    for (const [index, port] of (container.ports ?? []).entries()) {
      const here = [...at, 'ports', index, 'hostPort']
      const { hostPort = 0, containerPort, protocol = 'TCP', hostIP = '' } = port
      if (hostPort === 0) continue
      if (spec['hostNetwork'] === true && hostPort !== containerPort)
        report(here, `must be the containerPort ${containerPort}: the pod has the network of its node`)
      const key = `${hostPort}/${protocol} ${hostIP}`
      const first = seen.get(key)
      if (first !== undefined) report(here, `${hostPort}/${protocol} is taken already by ${first}`, 'duplicate')
      else seen.set(key, `${at[0]}[${at[1]}].ports[${index}]`)
    }
  }
}

const oneAccount: ObjectCheck = (spec, report) => {
  const { serviceAccount = '', serviceAccountName = '' } = spec as Readonly<Record<string, string | undefined>>
  if (serviceAccount !== '' && serviceAccountName !== '' && serviceAccount !== serviceAccountName)
    report(['serviceAccount'], `is not the serviceAccountName "${serviceAccountName}": leave it out`)
}

const nameServersAreGiven: ObjectCheck = (spec, report) => {
  const { nameservers = [] } = (spec['dnsConfig'] as { nameservers?: readonly string[] } | undefined) ?? {}
  if (spec['dnsPolicy'] === 'None' && nameservers.length === 0)
    report(['dnsConfig', 'nameservers'], 'are required for dnsPolicy None', 'required')
}

export const podChecks: readonly ObjectCheck[] = [
  distinctNames,
  distinctVolumes,
  mountsExist,
  hostPorts,
  oneAccount,
  nameServersAreGiven,
]
