// TLS of the client towards a service, as a DestinationRule asks for it. Between captured workloads the tunnel encrypts anyway;
// TLS towards others would have to be made by a waypoint, and a rule that asks for it is refused rather than sent in the clear.
import { enforced, ignored, type ObjectCheck } from './field.ts'
import { hostOrAddress } from './hosts.ts'
import { flag, text, texts } from './parts.ts'
import { notBlank } from './patterns.ts'
import { choice, group } from './shapes.ts'

type Settings = Readonly<Record<string, unknown>>

const modes = ['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'] as const
const filed = ['clientCertificate', 'privateKey', 'caCertificates', 'caCrl']

const isSet = (tls: Settings, name: string): boolean => tls[name] !== undefined && tls[name] !== ''
const makesTls = ({ mode }: Settings): boolean => mode === 'SIMPLE' || mode === 'MUTUAL'

/** One word to remove once waypoints make TLS. */
const refuseOrigination: ObjectCheck = (tls, report) => {
  if (!makesTls(tls)) return
  const instead = 'let the application speak TLS itself, and remove tls'
  const why = 'would leave what the application sends unencrypted: TLS towards a service is not made here'
  report(['mode'], `${tls['mode']} ${why}; ${instead}`, 'refused')
}

/** istiod's rules. */
const certificatesFit: ObjectCheck = (tls, report) => {
  if (!makesTls(tls)) return
  if (isSet(tls, 'credentialName')) {
    const other = filed.find((name) => isSet(tls, name))
    if (other !== undefined) report([other], 'cannot be combined with credentialName, which names all certificates')
    return
  }
  if (tls['mode'] !== 'MUTUAL') return
  for (const name of ['clientCertificate', 'privateKey']) {
    if (!isSet(tls, name)) report([name], 'is required for MUTUAL, or credentialName in its place', 'required')
  }
}

const skippingFits: ObjectCheck = (tls, report) => {
  if (tls['insecureSkipVerify'] !== true || !makesTls(tls)) return
  const checking = ['caCertificates', 'subjectAltNames', ...(tls['mode'] === 'SIMPLE' ? ['credentialName'] : [])]
  const other = checking.find((name) => isSet(tls, name))
  if (other !== undefined) report(['insecureSkipVerify'], `cannot be combined with ${other}: nothing is verified`)
}

const ofOrigination = (name: string) => ignored(`${name} has no effect: the tunnel uses the certificates of the mesh`)

function file(name: string, what: string) {
  return { ...text(what), use: ofOrigination(name) } as const
}

const modeTexts: Readonly<Record<string, string>> = {
  DISABLE: 'DISABLE has no effect: the tunnel between captured workloads encrypts all the same',
  ISTIO_MUTUAL:
    'ISTIO_MUTUAL holds between captured workloads, by the tunnel; others are sent what the application sends',
  SIMPLE: 'SIMPLE is refused: TLS towards a service is not made here',
  MUTUAL: 'MUTUAL is refused: TLS towards a service is not made here',
}

export const clientTls = group(
  'TLS of the client; what the mesh does where absent.',
  {
    mode: {
      ...choice('Whether TLS is spoken and with which certificates; DISABLE where absent.', modes),
      use: enforced('daemon outbound: the tunnel', (value) => modeTexts[String(value)]),
    },
    clientCertificate: file('clientCertificate', 'File with the certificate of the client, for MUTUAL.'),
    privateKey: file('privateKey', 'File with the private key of the client, for MUTUAL.'),
    caCertificates: file('caCertificates', 'File with the authorities that the server is verified with.'),
    caCrl: file('caCrl', 'File with the certificates that were revoked.'),
    credentialName: file('credentialName', 'Secret with the certificates, in place of files.'),
    subjectAltNames: {
      ...texts('Names of which the certificate of the server must have one.', notBlank),
      use: ignored(
        'subjectAltNames has no effect: the tunnel takes the identities of the workloads of the service only',
      ),
    },
    sni: {
      ...text('Server name that the client asks for.', {
        check: (value: string) => (value === '' ? undefined : hostOrAddress(value)),
      }),
      use: ignored('sni has no effect: the tunnel asks for the workload that it goes to'),
    },
    insecureSkipVerify: {
      ...flag('Whether the certificate of the server is taken unseen.'),
      use: ignored('insecureSkipVerify has no effect: the tunnel always verifies the workload that it goes to'),
    },
  },
  { checks: [refuseOrigination, certificatesFit, skippingFits] },
)
