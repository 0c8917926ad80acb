import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { startHttp } from '../../core/admin/server.ts'
import { nullLogger } from '../../core/base/log.ts'

const listen = (routes: Parameters<typeof startHttp>[0]['routes'], port = 0, address = '127.0.0.1') =>
  startHttp({ address, port, routes, log: nullLogger() })

t.test('routes are answered, others are told apart from other methods', async (t) => {
  const server = await listen({
    '/ready': () => ({ status: 200, body: 'ready\n' }),
    'POST /log': (_request, url) => ({ status: 200, body: url.searchParams.get('level') ?? '' }),
    '/json': () => Promise.resolve({ status: 200, type: 'application/json', body: '{"ü":1}' }),
  })
  t.teardown(() => server.close())
  const base = `http://127.0.0.1:${server.address.port}`
  const get = async (path: string, method = 'GET') => {
    const answer = await fetch(`${base}${path}`, { method })
    return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.text() }
  }
  t.match(await get('/ready'), { status: 200, body: 'ready\n', type: /^text\/plain/ })
  t.match(await get('/ready', 'HEAD'), { status: 200, body: '' })
  t.match(await get('/json'), { status: 200, type: 'application/json', body: '{"ü":1}' })
  t.match(await get('/log?level=debug', 'POST'), { status: 200, body: 'debug' })
  t.match(await get('/log'), { status: 405 })
  t.match(await get('/ready', 'POST'), { status: 405 })
  t.match(await get('/other'), { status: 404, body: /\/ready/ })
  t.match(await get('/__proto__'), { status: 404 })
  t.match(await get('/toString'), { status: 404 })
})

t.test('a handler that throws answers 500 and the server lives', async (t) => {
  const server = await listen({
    '/broken': () => {
      throw new Error('on purpose')
    },
    '/rejected': () => Promise.reject(new Error('on purpose')),
  })
  t.teardown(() => server.close())
  for (const path of ['/broken', '/rejected', '/broken']) {
    const answer = await fetch(`http://127.0.0.1:${server.address.port}${path}`)
    t.equal(answer.status, 500)
    t.match(await answer.text(), /on purpose/)
  }
})

t.test('garbage is refused and the server lives', async (t) => {
  const server = await listen({ '/ready': () => ({ status: 200, body: 'ready\n' }) })
  t.teardown(() => server.close())
  const { port } = server.address
  for (const garbage of [
    '\u0016\u0003\u0001\u0002\u0000\r\n\r\n',
    'GET\r\n\r\n',
    'GET // HTTP/1.1\r\nhost: x\r\n\r\n',
  ]) {
    const socket = connect(port, '127.0.0.1')
    socket.end(garbage)
    t.match(await text(socket), /^HTTP\/1\.1 4\d\d /)
  }
  t.equal((await fetch(`http://127.0.0.1:${port}/ready`)).status, 200)
})

t.test('on loopback, what comes from a web page is refused', async (t) => {
  const server = await listen({
    '/config_dump': () => ({ status: 200, body: 'secret\n' }),
    'POST /logging': () => ({ status: 200, body: 'set\n' }),
  })
  t.teardown(() => server.close())
  const { port } = server.address
  const ask = async (head: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1')
    socket.end(`${head}\r\nconnection: close\r\n\r\n`)
    return await text(socket)
  }
  for (const host of ['127.0.0.1', `127.0.0.1:${port}`, `localhost:${port}`, '[::1]:80']) {
    t.match(await ask(`GET /config_dump HTTP/1.1\r\nhost: ${host}`), /^HTTP\/1.1 200 /, host)
  }
  t.match(await ask('POST /logging HTTP/1.1\r\nhost: localhost'), /^HTTP\/1.1 200 /)
  for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil', '10.0.0.1']) {
    const answer = await ask(`GET /config_dump HTTP/1.1\r\nhost: ${host}`)
    t.match(answer, /^HTTP\/1.1 403 /, host)
    t.notMatch(answer, /secret/)
  }
  const posted = await ask('POST /logging HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example')
  t.match(posted, /^HTTP\/1.1 403 /)
})

t.test('a server for others is reached by any name', async (t) => {
  const server = await listen({ '/metrics': () => ({ status: 200, body: 'x\n' }) }, 0, '0.0.0.0')
  t.teardown(() => server.close())
  const socket = connect(server.address.port, '127.0.0.1')
  socket.end('GET /metrics HTTP/1.1\r\nhost: node1.example\r\nconnection: close\r\n\r\n')
  t.match(await text(socket), /^HTTP\/1.1 200 /)
})

t.test('a port in use is an error that names it', async (t) => {
  const server = await listen({})
  t.teardown(() => server.close())
  await t.rejects(listen({}, server.address.port), {
    code: 'SYSTEM_CALL',
    message: new RegExp(`${server.address.port}`),
  })
})

t.test('close ends open connections and frees the port', async (t) => {
  const server = await listen({ '/slow': () => new Promise<never>(() => {}) })
  const pending = fetch(`http://127.0.0.1:${server.address.port}/slow`)
  const refused = pending.then(
    () => false,
    () => true,
  )
  const idle = connect(server.address.port, '127.0.0.1')
  const closed = new Promise((resolve) => idle.on('error', () => {}).on('close', resolve))
  await new Promise((resolve) => idle.on('connect', resolve))
  await server.close()
  await closed
  t.ok(await refused)
  const again = await listen({}, server.address.port)
  await again.close()
})
