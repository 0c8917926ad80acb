// Protocol Buffers: what is written is read again, what kubectl sends becomes the JSON that it stands for, and garbage is refused.
import fc from 'fast-check'
import t from 'tap'
import { ApiError } from '../../../control/api/errors.ts'
import { decodeProtobuf } from '../../../control/api/protobuf/decode.ts'
import { MessageWriter, readFields } from '../../../control/api/protobuf/wire.ts'

const message = () => new MessageWriter()

function body(apiVersion: string, kind: string, raw: MessageWriter): Buffer {
  const typeMeta = message().text(1, apiVersion).text(2, kind)
  return Buffer.concat([Buffer.from('k8s\0'), message().message(1, typeMeta).message(2, raw).text(3, '').finish()])
}

t.test('fields are read as they were written', (t) => {
  const value = fc.oneof(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), fc.uint8Array())
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 29 - 1 }), value)), (fields) => {
      const writer = message()
      for (const [field, value] of fields) {
        if (typeof value === 'number') writer.whole(field, value)
        else writer.bytes(field, Buffer.from(value))
      }
      const read = readFields(writer.finish())
      t.strictSame(
        read.map(({ field, value }) => [field, typeof value === 'number' ? value : [...value]]),
        fields.map(([field, value]) => [field, typeof value === 'number' ? value : [...value]]),
      )
    }),
    { numRuns: 50 },
  )
  t.end()
})

t.test('a service is what kubectl create service meant', (t) => {
  const targetPort = message().whole(1, 1).whole(2, 0).text(3, 'http')
  const port = message().text(1, 'web').text(2, 'TCP').whole(3, 80).message(4, targetPort).whole(5, 0)
  const numbered = message().text(1, '').whole(3, 81).message(4, message().whole(1, 0).whole(2, 8081).text(3, ''))
  const spec = message()
    .messages(1, [port, numbered])
    .message(2, message().text(1, 'app').text(2, 'orders'))
    .text(3, '')
    .text(4, 'ClusterIP')
    .flag(20, true)
  const metadata = message()
    .text(1, 'orders')
    .text(2, '')
    .text(3, 'shop')
    .message(8, message())
    .texts(14, ['a/b', 'c/d'])
  t.strictSame(
    decodeProtobuf(body('v1', 'Service', message().message(1, metadata).message(2, spec).message(3, message()))),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'orders', namespace: 'shop', finalizers: ['a/b', 'c/d'] },
      spec: {
        ports: [
          { name: 'web', protocol: 'TCP', port: 80, targetPort: 'http' },
          { port: 81, targetPort: 8081 },
        ],
        selector: { app: 'orders' },
        type: 'ClusterIP',
        allocateLoadBalancerNodePorts: true,
      },
    },
  )
  t.end()
})

t.test('secrets are base64, times RFC 3339, and what is a pointer stays even when it is empty', (t) => {
  const metadata = message().text(1, 's').message(8, message().whole(1, 1_700_000_000))
  const entry = message()
    .text(1, 'key')
    .bytes(2, Buffer.from([0, 255]))
  const secret = message().message(1, metadata).message(2, entry).text(3, 'Opaque').whole(5, 0)
  t.strictSame(decodeProtobuf(body('v1', 'Secret', secret)), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', creationTimestamp: '2023-11-14T22:13:20Z' },
    data: { key: 'AP8=' },
    type: 'Opaque',
    immutable: false,
  })
  t.end()
})

function statusOf(bytes: Buffer): number | undefined {
  try {
    decodeProtobuf(bytes)
    return undefined
  } catch (error: unknown) {
    return error instanceof ApiError ? error.status : -1
  }
}

t.test('what is no message, or of a kind that is not read so, is refused', (t) => {
  t.equal(statusOf(Buffer.from('{}')), 400)
  t.equal(statusOf(Buffer.from('k8s\0\xff\xff')), 400)
  t.equal(statusOf(body('apps/v1', 'Deployment', message())), 415)
  t.equal(statusOf(body('v1', 'toString', message())), 415)
  t.equal(statusOf(body('v1', 'Namespace', message().whole(1, 5))), 400)
  fc.assert(
    fc.property(fc.uint8Array(), fc.constantFrom('Service', 'Secret', 'DeleteOptions'), (bytes, kind) => {
      const whole = [Buffer.from(bytes), Buffer.concat([Buffer.from('k8s\0'), bytes])]
      const typeMeta = message().text(1, 'v1').text(2, kind)
      whole.push(
        Buffer.concat([Buffer.from('k8s\0'), message().message(1, typeMeta).bytes(2, Buffer.from(bytes)).finish()]),
      )
      return whole.every((text) => statusOf(text) !== -1)
    }),
  )
  t.end()
})
