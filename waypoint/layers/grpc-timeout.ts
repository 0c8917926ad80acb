// The `grpc-timeout` header: how long the caller waits. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }
const most = 99_999_999

/** Milliseconds; undefined for what is no such value. */
export function parseGrpcTimeout(text: string | undefined): number | undefined {
  const found = text === undefined ? null : /^(\d{1,8})([HMSmun])$/.exec(text)
  return found === null ? undefined : Number(found[1]) * unitMs[found[2]!]!
}

/** In the finest unit that has room for it; never 0, which some servers take for no limit. */
export function formatGrpcTimeout(ms: number): string {
  const micros = Math.ceil(ms * 1_000)
  if (micros <= most) return `${Math.max(1, micros)}u`
  return ms <= most ? `${Math.ceil(ms)}m` : `${Math.min(most, Math.ceil(ms / 1_000))}S`
}
