// Where a container's environment comes from. container.ts reads it.
import { amount, choice, dataKey, list, listBy, optional, part } from './core-parts.ts'
import type { ObjectCheck, ValueCheck } from './field.ts'
import { oneOf, text } from './parts.ts'
import { clip, dnsSubdomain } from './rules.ts'

/** Kubernetes 1.34: any printable ASCII but "=". */
const variableName: ValueCheck<string> = (value) =>
  /^[\x20-\x3c\x3e-\x7e]+$/.test(value) ? undefined : `"${clip(value)}" is not the name of an environment variable`

/** Kubernetes' schema lets it be empty, its validation does not. */
const objectName = text('Name of the object.', { check: dnsSubdomain })

const nameIsGiven: ObjectCheck = (reference, report) => {
  if (reference['name'] === undefined) report(['name'], 'is required', 'required')
}

const keyOf = (what: string) =>
  part(
    what,
    { name: objectName, key: text('Key of the value.', { required: true, check: dataKey }), optional },
    { atomic: true, checks: [nameIsGiven] },
  )

export const fieldReference = part(
  'A field of the pod.',
  {
    apiVersion: text('Version of the path.', { default: 'v1' }),
    fieldPath: text("Path such as status.podIP or metadata.labels['app'].", { required: true }),
  },
  { atomic: true },
)

const resourceReference = part(
  'A resource of a container.',
  {
    containerName: text('Name of the container; this one where absent.'),
    resource: text('Name such as limits.cpu.', { required: true }),
    divisor: amount('Unit in which the value is given.'),
  },
  { atomic: true },
)

const fileKey = part(
  'A value in a file of a volume.',
  {
    volumeName: text('Name of the volume.', { required: true }),
    path: text('Path of the file in the volume.', { required: true }),
    key: text('Key of the value in the file.', { required: true }),
    optional: { ...optional, default: false },
  },
  { atomic: true },
)

const valueFrom = part(
  'Where the value comes from.',
  {
    fieldRef: fieldReference,
    resourceFieldRef: resourceReference,
    configMapKeyRef: keyOf('A key of a ConfigMap.'),
    secretKeyRef: keyOf('A key of a Secret.'),
    fileKeyRef: fileKey,
  },
  { checks: [oneOf('fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef').check] },
)

const oneValue: ObjectCheck = (variable, report) => {
  const value = (variable['value'] as string | undefined) ?? ''
  if (value !== '' && variable['valueFrom'] !== undefined) report(['valueFrom'], 'cannot be combined with value')
}

export const env = listBy(
  'name',
  'Environment variables.',
  part(
    'One variable.',
    {
      name: text('Name of the variable.', { required: true, check: variableName }),
      value: text('Its value; $(NAME) stands for another variable.'),
      valueFrom,
    },
    { checks: [oneValue] },
  ),
)

const source = (what: string) => part(what, { name: objectName, optional }, { checks: [nameIsGiven] })

export const envFrom = list(
  'Objects of which every key becomes a variable.',
  part(
    'One object.',
    {
      prefix: text('What stands before each key.'),
      configMapRef: source('A ConfigMap.'),
      secretRef: source('A Secret.'),
    },
    { checks: [oneOf('configMapRef', 'secretRef').check] },
  ),
)

export const pullPolicy = choice('When the image is fetched.', ['Always', 'IfNotPresent', 'Never'])
