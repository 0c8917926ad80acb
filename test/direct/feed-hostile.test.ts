// The feed's listener against clients that hold on to what they were refused, and hosts that ask for too much.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { deadline } from '../../core/base/deadline.ts'
import { createCsr, createKeyPair } from '../../core/identity/csr.ts'
import { api, directory, enrol, Host, start, token, until } from '../helpers/control-world.ts'

/** Sockets with this local port that a process still holds, listeners left out. */
function connectionsOf(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const listening = '0A'
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(local) === true && fields[3] !== listening && fields[9] !== '0').length
}

t.test('a refused upgrade does not keep its connection, though the client never ends its side', async (t) => {
  const control = await start(t, await directory(t))
  const { address: host, port } = control.addresses.feed
  const head = 'HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
  for (const path of ['/v1/feed', '/other']) {
    const options = { host, port, rejectUnauthorized: false, allowHalfOpen: true }
    const socket = connectTls(options)
    socket.write(`GET ${path} ${head}`)
    t.teardown(() => void socket.destroy())
    let answer = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    await until('the refusal', () => answer.includes('HTTP/1.1 40'))
  }
  await until('the end of both connections', () => connectionsOf(port) === 0)
})

t.test('a host that renews on and on keeps only its newest certificates', async (t) => {
  const stateDir = await directory(t)
  const control = await start(t, stateDir)
  const host = await new Host(control, await enrol(control, 'h1', await token(stateDir, 'h1', ['shop/*']))).connect(t)
  const { privateKey } = createKeyPair()
  let newest = ''
  for (let n = 0; n < 12; n++) {
    const csr = createCsr(privateKey, 'spiffe://cluster.local/culvert/host/h1')
    newest = (await host.client.requestCertificate('node', csr, deadline(5000))).chain
  }
  const { body } = await api(stateDir, 'GET', '/culvert/v1/status')
  const hosts = body['hosts'] as readonly { readonly certificates: readonly { readonly serial: string }[] }[]
  t.equal(hosts[0]?.certificates.length, 8)
  const { serialNumber } = new X509Certificate(newest)
  t.equal(hosts[0]?.certificates.at(-1)?.serial, serialNumber.toLowerCase())
})
