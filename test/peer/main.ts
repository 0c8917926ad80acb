// The command test/hbone-peer: reads its arguments, reaches the peer once to see that it is there, runs the cases and says what
// came of them. Exit code 0 where none failed, 1 where one did or the peer cannot be reached, 2 for a wrong command line.
import { readFileSync } from 'node:fs'
import yargs from 'yargs'
import { type Signer, signerOf } from '../../control/ca/x509.ts'
import { parseSocketAddress } from '../../core/net/address.ts'
import { mint } from './mint.ts'
import { type CaseResult, peerCases, runCases } from './run.ts'
import { accepted, Target, type TargetOptions } from './target.ts'

const usage = `$0 --peer HOST:PORT [options]

Checks any HBONE peer (HTTP/2 CONNECT over mutual TLS) frame by frame, as a client that sends what honest ones do not. Each case
passes, fails, or departs from the RFC in a way that it leaves open ("allowed"). What a case needs and was not given makes it
"not run": without --authority little more than the handling of broken frames is checked.

The client's identity is --cert and --key, or is made with --ca-key, the key of the authority that the peer trusts. Without any of
them the client shows no certificate, and without --ca the peer's certificate is not checked: for peers that ask for neither.`

const options = {
  peer: { type: 'string', describe: 'Address of the tunnel listener, as 10.0.0.2:15008' },
  authority: { type: 'string', describe: 'ip:port behind the peer that sends back every byte that it gets' },
  'refused-authority': { type: 'string', describe: 'ip:port behind the peer where nothing listens: 503' },
  'denied-authority': { type: 'string', describe: 'ip:port behind the peer that a policy denies to this client: 401' },
  cert: { type: 'string', describe: 'File with the certificate chain of the client (PEM)' },
  key: { type: 'string', describe: 'File with the key of the client (PEM)' },
  ca: { type: 'string', describe: 'File with the roots of the peer (PEM)' },
  'ca-key': {
    type: 'string',
    describe: 'File with the key that signs identities; its certificate is in the same file or the first one of --ca',
  },
  identity: {
    type: 'string',
    default: 'spiffe://cluster.local/ns/default/sa/hbone-peer',
    describe: 'Who the client is, where --ca-key makes its certificate',
  },
  'server-name': { type: 'string', describe: 'TLS server name to send' },
  'expect-identity': { type: 'string', describe: 'SPIFFE URI that the peer must show' },
  only: { type: 'string', describe: 'Run the cases whose name contains this' },
  list: { type: 'boolean', default: false, describe: 'Name the cases and what they need, and run none' },
  timeout: { type: 'number', default: 5, describe: 'Seconds that the peer has for each step' },
  output: { alias: 'o', choices: ['text', 'json'] as const, default: 'text', describe: 'Form of the results' },
} as const

const parser = yargs(process.argv.slice(2))
  .scriptName('test/hbone-peer')
  .usage(usage)
  .options(options)
  .strict()
  .wrap(120)
  .version(false)
  .check(({ peer, list }) => peer !== undefined || list || 'Missing required argument: peer')
  .fail((message, error) => {
    complain(message || String(error))
    process.exit(2)
  })

type Arguments = Awaited<typeof parser.argv>

function complain(text: string): void {
  process.stderr.write(`hbone-peer: ${text}\n`)
}

const say = (line: string) => process.stdout.write(`${line}\n`)
const file = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path, 'utf8'))
const pem = (label: string) => new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`)

function signer(keyFile: string, rootsPem: string | undefined): Signer {
  const text = readFileSync(keyFile, 'utf8')
  const key = pem('(?:EC )?PRIVATE KEY').exec(text)?.[0]
  const certificate = pem('CERTIFICATE').exec(text)?.[0] ?? pem('CERTIFICATE').exec(rootsPem ?? '')?.[0]
  if (key === undefined || certificate === undefined) throw new Error(`--ca-key: ${keyFile} lacks a key or certificate`)
  return signerOf(certificate, key)
}

async function targetOf(argv: Arguments): Promise<Target> {
  const { peer = '', authority } = argv
  const colon = peer.lastIndexOf(':')
  const port = Number(peer.slice(colon + 1))
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) throw new Error('--peer must be host:port')
  if (authority !== undefined && parseSocketAddress(authority) === undefined)
    throw new Error('--authority: not ip:port')
  if ((argv.cert === undefined) !== (argv.key === undefined)) throw new Error('--cert and --key belong together')
  const rootsPem = file(argv.ca)
  const issuer = argv['ca-key'] === undefined ? undefined : signer(argv['ca-key'], rootsPem)
  const own = { certificatePem: file(argv.cert), keyPem: file(argv.key) }
  const made = issuer === undefined ? undefined : await mint(issuer, argv.identity)
  const credentials =
    own.certificatePem === undefined || own.keyPem === undefined
      ? made
      : { certificatePem: own.certificatePem, keyPem: own.keyPem }
  const given = {
    credentials,
    rootsPem,
    expectIdentity: argv['expect-identity'],
    serverName: argv['server-name'],
    echo: authority,
    refused: argv['refused-authority'],
    denied: argv['denied-authority'],
    mint: issuer === undefined ? undefined : (identity: string) => mint(issuer, identity),
  }
  const host = peer.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return new Target({ host, port, timeoutMs: argv.timeout * 1000, ...(defined as Partial<TargetOptions>) })
}

/** Rather one clear word than a hundred failures. */
async function reach(target: Target): Promise<void> {
  const wire = await target.session()
  if (target.options.echo !== undefined) {
    wire.send(wire.connect(1, target.echo))
    await accepted(wire, 1)
  }
  target.close()
}

function line({ name, outcome, detail }: CaseResult): string {
  return `${outcome.padEnd(8)} ${name}${detail === undefined ? '' : `: ${detail}`}`
}

async function main(argv: Arguments): Promise<number> {
  const cases = peerCases.filter(({ name }) => name.includes(argv.only ?? ''))
  if (argv.list) {
    for (const { name, source, needs } of cases) say(`${name} (${[source, ...(needs ?? [])].join(', ')})`)
    return 0
  }
  if (cases.length === 0) throw new Error(`no case has a name with "${argv.only}"`)
  const target = await targetOf(argv)
  await reach(target).catch((error: unknown) => {
    target.close()
    throw new Error(`cannot begin with ${argv.peer}: ${error instanceof Error ? error.message : String(error)}`)
  })
  const json = argv.output === 'json'
  const results = await runCases(target, cases, (result) => {
    if (!json) say(line(result))
  })
  const count = (outcome: CaseResult['outcome']) => results.filter((result) => result.outcome === outcome).length
  const [passed, allowed, failed, notRun] = [count('passed'), count('allowed'), count('failed'), count('not run')]
  const sum = { passed: passed + allowed, failed, allowed, notRun }
  if (json) say(JSON.stringify({ peer: argv.peer, ...sum, results }, null, 2))
  else {
    if (allowed > 0) say(`${allowed} of the passed depart from the RFC in a way that it leaves open`)
    if (notRun > 0) say(`${notRun} not run`)
    say(`${sum.passed} passed, ${sum.failed} failed`)
  }
  return failed > 0 || sum.passed === 0 ? 1 : 0
}

try {
  process.exitCode = await main(await parser.parse())
} catch (error: unknown) {
  complain(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
