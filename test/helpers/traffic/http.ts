// Large HTTP bodies made of one marker, up and down, against the lab's echo workload. Started by main.ts inside a workload.
import { request } from 'node:http'
import { json } from 'node:stream/consumers'

export interface HttpPlan {
  /** `http://host:port`, without a path. */
  readonly origin: string
  readonly marker: string
  readonly uploadBytes: number
  readonly downloadBytes: number
}

export interface HttpReport {
  /** As the server counted. */
  readonly uploaded: number
  readonly downloaded: number
}

const timeoutMs = 120_000

export async function runHttp(plan: HttpPlan): Promise<HttpReport> {
  return { uploaded: await upload(plan), downloaded: await download(plan) }
}

function upload({ origin, marker, uploadBytes }: HttpPlan): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const outgoing = request(`${origin}/upload`, {
    method: 'POST',
    headers: { 'content-length': uploadBytes },
    signal: AbortSignal.timeout(timeoutMs),
  })
  outgoing.once('error', reject)
  outgoing.once('response', (response) => {
    json(response).then((answer) => resolve((answer as { readonly bytes: number }).bytes), reject)
  })
  const block = Buffer.alloc(64 * 1024, marker)
  let left = uploadBytes
  const more = (): void => {
    while (left > 0) {
      const part = block.subarray(0, Math.min(block.length, left))
      left -= part.length
      if (!outgoing.write(part)) return void outgoing.once('drain', more)
    }
    outgoing.end()
  }
  more()
  return promise
}

function download({ origin, marker, downloadBytes }: HttpPlan): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const url = `${origin}/bytes?n=${downloadBytes}&fill=${encodeURIComponent(marker)}`
  const outgoing = request(url, { signal: AbortSignal.timeout(timeoutMs) })
  outgoing.once('error', reject)
  outgoing.once('response', (response) => {
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    response.once('error', reject)
    response.once('end', () => resolve(bytes))
  })
  outgoing.end()
  return promise
}
