// The system calls that Node does not offer, bound through koffi, and the errors they end in. Only the other sys files
// import this file; nothing outside core/net/sys*.ts knows that koffi exists. The numbers are those of Linux on x64 and arm64.
import { constants } from 'node:os'
import { getSystemErrorMessage, getSystemErrorName } from 'node:util'
import koffi from 'koffi'
import { MeshError } from '../base/errors.ts'

// The running process itself: Node is linked against the C library, glibc and musl alike.
const libc = koffi.load(null)

export const calls = {
  setns: libc.func('int setns(int fd, int nstype)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  connect: libc.func('int connect(int fd, const void *address, uint32_t length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  getsockopt: libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
  getsockname: libc.func('int getsockname(int fd, void *address, void *length)'),
  getpeername: libc.func('int getpeername(int fd, void *address, void *length)'),
  mount: libc.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
  ),
  umount2: libc.func('int umount2(const char *target, int flags)'),
  close: libc.func('int close(int fd)'),
  madvise: libc.func('int madvise(uint64_t address, uint64_t length, int advice)'),
  abort: libc.func('void abort()'),
} as const

/** Only the GNU C library has it. */
export const mallocTrim = optional('int malloc_trim(size_t pad)')

function optional(declaration: string): ReturnType<typeof libc.func> | undefined {
  try {
    return libc.func(declaration)
  } catch {
    return undefined
  }
}

export const numbers = {
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_KEEPALIVE: 9,
  SO_LINGER: 13,
  SO_REUSEPORT: 15,
  SO_PEERCRED: 17,
  SO_MARK: 36,
  SOL_TCP: 6,
  TCP_NODELAY: 1,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  TCP_USER_TIMEOUT: 18,
  TCP_NOTSENT_LOWAT: 25,
  SOL_IP: 0,
  IP_FREEBIND: 15,
  IP_TRANSPARENT: 19,
  IP_BIND_ADDRESS_NO_PORT: 24,
  SO_ORIGINAL_DST: 80,
  SOL_IPV6: 41,
  IPV6_V6ONLY: 26,
  IPV6_TRANSPARENT: 75,
  IPV6_FREEBIND: 78,
  CLONE_NEWNET: 0x40000000,
  MS_BIND: 4096,
  MNT_DETACH: 2,
  MADV_DONTNEED: 4,
} as const

/** What to check next, by error name; the more special `call:ERROR` wins. */
const advice: Readonly<Record<string, string>> = {
  'setns:EPERM': 'entering a network namespace needs CAP_SYS_ADMIN (run as root)',
  'setns:EINVAL': 'the file is not a network namespace',
  'setsockopt SO_MARK:EPERM': 'SO_MARK needs CAP_NET_ADMIN (run as root)',
  'setsockopt IP_TRANSPARENT:EPERM': 'a transparent socket needs CAP_NET_ADMIN or CAP_NET_RAW (run as root)',
  'setsockopt IPV6_TRANSPARENT:EPERM': 'a transparent socket needs CAP_NET_ADMIN or CAP_NET_RAW (run as root)',
  'bind:EADDRINUSE': 'another process listens there: see `ss -ltnp`',
  'bind:EADDRNOTAVAIL': 'the address is not one of this namespace: see `ip address`',
  'bind:EACCES': 'ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE',
  'socket:EAFNOSUPPORT': 'this kernel or namespace has no such address family (is IPv6 disabled?)',
  'mount:EPERM': 'mounting needs CAP_SYS_ADMIN (run as root)',
  'umount2:EPERM': 'unmounting needs CAP_SYS_ADMIN (run as root)',
  'umount2:EINVAL': 'nothing is mounted there',
  EMFILE: 'raise the limit of open files (LimitNOFILE, ulimit -n)',
  ENFILE: 'raise fs.file-max',
  ENOBUFS: 'the kernel is out of socket memory',
}

/** The cause of a SYSTEM_CALL error, in the shape of Node's own system errors. */
export interface SystemCallCause extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
}

/** The error of the call that just returned -1. `call` is its name, `subject` what it worked on. */
export function callFailed(call: string, subject: string): MeshError {
  return systemCallError(call, subject, koffi.errno())
}

export function systemCallError(call: string, subject: string, errno: number): MeshError {
  const code = getSystemErrorName(-errno)
  const text = `${call} ${subject}: ${getSystemErrorMessage(-errno) ?? code} (${code})`
  const next = advice[`${call}:${code}`] ?? advice[code]
  const cause: SystemCallCause = Object.assign(new Error(text), { code, errno, syscall: call })
  return new MeshError('SYSTEM_CALL', next === undefined ? text : `${text}; ${next}`, { cause })
}

/** Error numbers by name, of this architecture. */
export const errnos = constants.errno

/** Number of the last failed call. */
export function lastErrno(): number {
  return koffi.errno()
}
