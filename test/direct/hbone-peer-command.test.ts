// The command test/hbone-peer as people run it: exit codes, output, and that it sees what is wrong with a peer.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { FakeCa } from '../helpers/fake-ca.ts'
import { ourPeer } from '../helpers/oracle-peers.ts'
import { frame, type } from '../helpers/raw-http2.ts'
import { serverIdentity } from '../helpers/tunnel.ts'
import { Wire } from '../peer/wire.ts'

const main = fileURLToPath(new URL('../peer/main.ts', import.meta.url))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function hbonePeer(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr })
    })
  })
}

t.test('a good peer: exit code 0, a line for each case, the sum last', async (t) => {
  const { target, close } = await ourPeer()
  const { port, credentials, rootsPem, echo, refused } = target.options
  const files = t.testdir({
    'cert.pem': credentials!.certificatePem,
    'key.pem': credentials!.keyPem,
    'ca.pem': rootsPem!,
  })
  const to = ['--peer', `127.0.0.1:${port}`, '--ca', join(files, 'ca.pem'), '--authority', echo!]
  const own = ['--cert', join(files, 'cert.pem'), '--key', join(files, 'key.pem'), '--refused-authority', refused!]
  const text = await hbonePeer(...to, ...own, '--expect-identity', serverIdentity, '--only', 'answered')
  t.equal(text.code, 0, text.stdout + text.stderr)
  t.match(text.stdout, /^passed {3}PING is answered with its payload$/m)
  t.match(text.stdout, /^not run {2}CONNECT that a policy denies is answered 401: needs --denied-authority$/m)
  t.match(text.stdout, /\n1 not run\n\d+ passed, 0 failed\n$/)

  const json = await hbonePeer(...to, ...own, '--only', 'PING is answered', '-o', 'json')
  t.match(JSON.parse(json.stdout), { passed: 1, failed: 0, results: [{ outcome: 'passed', source: 'RFC 9113 6.7' }] })

  const wrong = await hbonePeer(...to, ...own, '--expect-identity', 'spiffe://cluster.local/ns/shop/sa/other')
  t.equal(wrong.code, 1)
  t.match(wrong.stderr, /the peer is URI:spiffe:.*orders, expected .*other/)
  const nobody = await hbonePeer(...to, '--only', 'PING')
  t.equal(nobody.code, 1, 'a client without a certificate does not get in')
  await close()
})

t.test('a peer with faults: exit code 1, and the faults are named', async (t) => {
  const leaf = await (await FakeCa.create()).leaf(serverIdentity)
  const server = tls.createServer({ key: leaf.keyPem, cert: leaf.chainPem, ALPNProtocols: ['h2'] }, (socket) => {
    const wire = new Wire(socket, { role: 'server', answers: false })
    wire.send(frame(type.settings, 0, 0))
    socket.on('data', () => {
      if (wire.of(type.ping).length > 0) wire.send(frame(type.ping, 1, 0, '0000000000000001'))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const peer = ['--peer', `127.0.0.1:${port}`, '--timeout', '0.5']
  const { code, stdout, stderr } = await hbonePeer(...peer, '--only', 'PING')
  t.equal(code, 1, stderr)
  t.match(stdout, /^failed {3}PING is answered with its payload: /m)
  t.match(stdout, /^failed {3}PING on a stream: /m)
  t.match(stdout, /\n\d+ passed, [1-9]\d* failed\n$/)
  t.match(await hbonePeer(...peer, '--only', 'acknowledges'), { code: 1, stdout: /0 passed, 1 failed/ })
  server.close()
})

t.test('a wrong command line is exit code 2, a peer that is not there 1', async (t) => {
  t.match(await hbonePeer(), { code: 2, stderr: /peer/ })
  t.match(await hbonePeer('--peer', '127.0.0.1:1', '--nonsense'), { code: 2, stderr: /nonsense/ })
  t.match(await hbonePeer('--peer', '127.0.0.1:1'), { code: 1, stderr: /cannot begin with 127.0.0.1:1/ })
  t.match(await hbonePeer('--peer', '127.0.0.1:1', '--only', 'no such case'), { code: 1, stderr: /no case/ })
  const directory = t.testdir({ 'ca.pem': 'nothing' })
  const missing = await hbonePeer('--peer', '127.0.0.1:1', '--ca-key', join(directory, 'ca.pem'))
  t.match(missing, { code: 1, stderr: /lacks a key or certificate/ })
})
