// Which rights the processes of a pod and of a container have. pod.ts and container.ts read it.
import { choice, list, part } from './core-parts.ts'
import type { ObjectCheck } from './field.ts'
import { flag, text, texts, whole } from './parts.ts'

const number = (what: string) => whole(what, 0, Number.MAX_SAFE_INTEGER)
const id = (what: string) => whole(what, 0, 2_147_483_647)

const seLinuxOptions = part('SELinux label.', {
  user: text('User of the label.'),
  role: text('Role of the label.'),
  type: text('Type of the label.'),
  level: text('Level of the label.'),
})

const profileFits: ObjectCheck = (profile, report) => {
  const given = profile['localhostProfile'] !== undefined
  if (profile['type'] === 'Localhost' && !given)
    report(['localhostProfile'], 'is required for type Localhost', 'required')
  if (profile['type'] !== 'Localhost' && given) report(['localhostProfile'], 'is allowed for type Localhost only')
}

const profile = (what: string) =>
  part(
    what,
    {
      type: choice('Which profile.', ['Localhost', 'RuntimeDefault', 'Unconfined'], { required: true }),
      localhostProfile: text('Profile of the node, for type Localhost.'),
    },
    { checks: [profileFits] },
  )

const windowsOptions = part('Rights on Windows.', {
  gmsaCredentialSpecName: text('Name of a GMSA credential spec.'),
  gmsaCredentialSpec: text('A GMSA credential spec.'),
  runAsUserName: text('User of the processes.'),
  hostProcess: flag('Whether the processes are those of the host.'),
})

const common = {
  seLinuxOptions,
  windowsOptions,
  runAsUser: id('User of the processes.'),
  runAsGroup: id('Group of the processes.'),
  runAsNonRoot: flag('Whether user 0 is refused.'),
  seccompProfile: profile('System calls that are allowed.'),
  appArmorProfile: profile('AppArmor profile.'),
} as const

export const containerSecurity = part('Rights of the processes of the container.', {
  ...common,
  allowPrivilegeEscalation: flag('Whether processes may gain rights.'),
  privileged: flag('Whether the container has all rights of the host.'),
  readOnlyRootFilesystem: flag('Whether the root file system is read-only.'),
  procMount: choice('Which parts of /proc are hidden.', ['Default', 'Unmasked']),
  capabilities: part('Capabilities.', {
    add: texts('Capabilities that are added.'),
    drop: texts('Capabilities that are taken away.'),
  }),
})

export const podSecurity = part('Rights of the processes of all containers.', {
  ...common,
  fsGroup: id('Group of the files of volumes.'),
  fsGroupChangePolicy: choice('When the group of the files is set.', ['Always', 'OnRootMismatch']),
  seLinuxChangePolicy: choice('How the label of volumes is set.', ['MountOption', 'Recursive']),
  supplementalGroups: list('Further groups of the processes.', id('One group.')),
  supplementalGroupsPolicy: choice("Whether the image's groups count too.", ['Merge', 'Strict']),
  sysctls: list(
    'Kernel parameters of the pod.',
    part('One parameter.', {
      name: text('Name of the parameter.', { required: true }),
      value: text('Its value.', { required: true }),
    }),
  ),
})

export const containerUser = part('User of the first process.', {
  linux: part('User on Linux.', {
    uid: { ...number('User.'), required: true },
    gid: { ...number('Group.'), required: true },
    supplementalGroups: list('Further groups.', number('One group.')),
  }),
})
