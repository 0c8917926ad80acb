// What an error of etcd means: try elsewhere, authenticate again, or give up with advice. gRPC codes alone do not tell; the texts
// are those of etcd's rpctypes (server/etcdserver/api/v3rpc/rpctypes/error.go), which its own clients compare too.
import { type ErrorCode, MeshError } from '../../core/base/errors.ts'
import type { EtcdFault } from './etcd-transport.ts'

export type Verdict =
  | { readonly do: 'retry' }
  | { readonly do: 'authenticate' }
  | { readonly do: 'fail'; readonly error: MeshError }

interface Rule {
  readonly text: RegExp
  readonly code: ErrorCode
  readonly advice: string
}

const rules: readonly Rule[] = [
  {
    text: /required revision has been compacted|required revision is a future revision/,
    code: 'RESOURCE_CONFLICT',
    advice: 'the revision is not in the history any more: list again',
  },
  {
    text: /database space exceeded/,
    code: 'STORE_FAILED',
    advice:
      'etcd has reached its space quota and refuses writes; nothing was changed: run `etcdctl compact` and `etcdctl defrag`, ' +
      'raise --quota-backend-bytes if need be, then `etcdctl alarm disarm`',
  },
  {
    text: /request is too large|message larger than max/,
    code: 'LIMIT_REACHED',
    advice:
      'the object is larger than etcd takes (--max-request-bytes, 1.5 MiB unless told otherwise); nothing was changed',
  },
  {
    text: /corrupt cluster/,
    code: 'STORE_FAILED',
    advice: 'the members of etcd disagree about the data (alarm CORRUPT): restore the broken member from a snapshot',
  },
  {
    text: /permission denied/,
    code: 'STORE_FAILED',
    advice:
      'the user of etcd may not do this: grant its role readwrite on the prefix (`etcdctl role grant-permission --prefix`)',
  },
  {
    text: /invalid user ID or password/,
    code: 'STORE_FAILED',
    advice: 'the user or the password of etcd is wrong',
  },
  {
    text: /user name is empty/,
    code: 'STORE_FAILED',
    advice: 'this etcd wants a user and a password',
  },
  {
    text: /authentication is not enabled/,
    code: 'STORE_FAILED',
    advice: 'this etcd knows no users: leave the user out, or run `etcdctl auth enable`',
  },
]

/** gRPC codes after which another member, or the same one later, may answer: CANCELLED, UNKNOWN, DEADLINE_EXCEEDED,
 * RESOURCE_EXHAUSTED (too many requests), ABORTED, INTERNAL, UNAVAILABLE. */
const passing = new Set([1, 2, 4, 8, 10, 13, 14])
const unauthenticated = 16

export function verdictOf(fault: EtcdFault): Verdict {
  const rule = rules.find(({ text }) => text.test(fault.message))
  if (rule !== undefined) return { do: 'fail', error: failure(rule.code, `${rule.advice} (${fault.message})`, fault) }
  if (fault.grpcCode === undefined) return { do: 'retry' }
  if (fault.grpcCode === unauthenticated || /revision of auth store is old|invalid auth token/.test(fault.message)) {
    return { do: 'authenticate' }
  }
  if (passing.has(fault.grpcCode)) return { do: 'retry' }
  return { do: 'fail', error: failure('STORE_FAILED', `etcd refused: ${fault.message}`, fault) }
}

/** Nobody answered in time. `unknown` where a write may have happened nevertheless. */
export function away(endpoints: readonly URL[], last: EtcdFault | undefined, unknown: boolean): MeshError {
  const hosts = endpoints.map(({ host }) => host).join(', ')
  const reason = last === undefined ? 'no answer' : last.message
  const advice = /no leader/.test(reason)
    ? 'it has no leader: start enough of its members for a majority'
    : 'check that a majority of its members runs and can be reached from here'
  const outcome = unknown ? '; whether the write happened is not known: read again before you repeat it' : ''
  return failure('STORE_FAILED', `etcd at ${hosts} does not answer: ${advice}${outcome} (${reason})`, last)
}

function failure(code: ErrorCode, text: string, cause: unknown): MeshError {
  return new MeshError(code, text.startsWith('etcd') ? text : `etcd: ${text}`, { cause })
}
