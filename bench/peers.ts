// Configuration and command lines of the peers and of the application, from the templates in bench/peers/. Pure but for reading
// the templates; world.ts writes the files and starts the processes.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MeshError } from '../core/base/errors.ts'
import { isPeer, type Peer, peerPorts, ports, type Subject } from './subjects.ts'

export type End = 'client' | 'server'

/** A process to run: the file that it reads, with its text, and its command line. */
export interface Configured {
  readonly file: string
  readonly text: string
  readonly command: readonly string[]
}

export interface PeerFacts {
  /** Where configuration and certificates lie. */
  readonly folder: string
  readonly serverAddress: string
  readonly threads: number
}

/** A name in the server's certificate, which clients check. */
export const serverName = 'server.bench.internal'
export const certificateFiles = { client: 'client.pem', server: 'server.pem', authority: 'ca.pem' } as const

/** Replaces every `{{NAME}}`. Throws CONFIG_INVALID for a name that has no value. */
export function render(template: string, values: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new MeshError('CONFIG_INVALID', `the template has no value for ${name}`)
    return String(value)
  })
}

const extensions: Readonly<Record<Peer, string>> = { haproxy: 'cfg', nginx: 'conf', stunnel: 'conf' }

export function peerProcess(peer: Peer, end: End, facts: PeerFacts): Configured {
  const name = `${peer}-${end}.${extensions[peer]}`
  const file = join(facts.folder, name)
  return { file, text: render(template(name), peerValues(facts)), command: peerCommand(peer, file) }
}

/** As many descriptors as root may have here: ten thousand connections need two each in a proxy. */
export const unlimited: readonly string[] = ['sh', '-c', 'ulimit -n "$(ulimit -Hn)" && exec "$@"', 'sh']

function peerCommand(peer: Peer, file: string): readonly string[] {
  switch (peer) {
    case 'haproxy':
      return [...unlimited, 'haproxy', '-db', '-f', file]
    case 'nginx':
      return nginx(file)
    case 'stunnel':
      return [...unlimited, 'stunnel4', file]
  }
}

function nginx(file: string): readonly string[] {
  return [...unlimited, 'nginx', '-e', 'stderr', '-c', file]
}

/** Behind a peer on the loopback only: without redirection nothing would answer, instead of the application itself. */
export function applicationAddress(subject: Subject): string {
  return isPeer(subject) ? '127.0.0.1' : '0.0.0.0'
}

export function application(subject: Subject, folder: string, threads: number): Configured {
  const file = join(folder, `${subject}-application.conf`)
  const address = applicationAddress(subject)
  const values = { FOLDER: folder, SUBJECT: subject, THREADS: threads, ADDRESS: address, ...applicationPorts() }
  return { file, text: render(template('application.conf'), values), command: nginx(file) }
}

function applicationPorts(): Readonly<Record<string, number>> {
  return { HTTP: ports.http, ECHO: ports.echo, BULK: ports.bulk }
}

function peerValues(facts: PeerFacts): Readonly<Record<string, string | number>> {
  const { client, server } = peerPorts
  return {
    FOLDER: facts.folder,
    THREADS: facts.threads,
    SERVER_ADDRESS: facts.serverAddress,
    SERVER_NAME: serverName,
    CLIENT_PEM: join(facts.folder, certificateFiles.client),
    SERVER_PEM: join(facts.folder, certificateFiles.server),
    CA_PEM: join(facts.folder, certificateFiles.authority),
    ...applicationPorts(),
    CLIENT_HTTP: client.http,
    CLIENT_ECHO: client.echo,
    CLIENT_BULK: client.bulk,
    SERVER_HTTP: server.http,
    SERVER_ECHO: server.echo,
    SERVER_BULK: server.bulk,
  }
}

function template(name: string): string {
  return readFileSync(fileURLToPath(new URL(`./peers/${name}`, import.meta.url)), 'utf8')
}

/** For `iptables-restore` in the client's namespace: what goes to the application goes to the peer's client end instead. */
export function redirectRules(serverAddress: string): string {
  const rules = (['http', 'echo', 'bulk'] as const).map((port) => {
    const match = `-p tcp -d ${serverAddress}/32 -m tcp --dport ${ports[port]}`
    return `-A OUTPUT ${match} -j REDIRECT --to-ports ${peerPorts.client[port]}`
  })
  return `${['*nat', ...rules, 'COMMIT'].join('\n')}\n`
}
