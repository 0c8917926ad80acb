// A header list to the head of a request (RFC 9113 8.3, RFC 8441): what stands in it is checked and put into the form that HTTP/1.1 gives
// it, too, so that policy, routing and forwarding see one meaning. Called by server-connection.ts.
import { METHODS } from 'node:http'
import type { HeaderField } from '../../core/hbone/h2/hpack-table.ts'
import type { Upgrade } from '../exchange.ts'
import { HttpError } from '../http/error.ts'
import { Headers, type RequestHead } from '../http/message.ts'
import { isAuthority } from '../http1/authority.ts'
import { parseLength } from '../http1/framing.ts'
import { fieldKind, isValue, kindOf } from './fields.ts'

export interface RequestRules {
  /** What the connection carries; a request that says another one is refused. */
  readonly scheme: 'http' | 'https'
  readonly maxFields: number
  readonly maxTargetBytes: number
}

export interface Http2Request {
  readonly head: RequestHead
  readonly contentLength: number | undefined
  readonly expectContinue: boolean
  readonly upgrade: Upgrade | undefined
}

const methods = new Set(METHODS)
/** Visible ASCII without `#`, which never goes over the wire (CVE-2021-39156). */
const targetPattern = /^[\x21\x22\x24-\x7e]+$/

/** Why the list is malformed: the stream is to be reset. Throws HttpError for what is to be answered. */
export function readRequest(fields: readonly HeaderField[], rules: RequestRules): Http2Request | string {
  const list = new RequestList()
  for (const field of fields) {
    const problem = list.add(field[0], field[1])
    if (problem !== undefined) return problem
  }
  return list.problem() ?? list.request(rules)
}

class RequestList {
  readonly #fields: string[] = []
  #method: string | undefined
  #scheme: string | undefined
  #authority: string | undefined
  #path: string | undefined
  #protocol: string | undefined
  #host: string | undefined
  #contentLength: string | undefined
  #expect: string | undefined
  /** Where the value of the joined cookies is. */
  #cookieAt = -1
  /** The first thing that is wrong in a way that can be answered. */
  #error: HttpError | undefined

  add(name: string, value: string): string | undefined {
    if (!isValue(value)) return 'a value with forbidden characters'
    if (name.charCodeAt(0) === 0x3a) return this.#pseudo(name, value)
    const kind = kindOf(name)
    if (kind === fieldKind.other) {
      this.#fields.push(name, value)
      return undefined
    }
    if (kind === fieldKind.malformed) return 'a name with forbidden characters'
    if (kind === fieldKind.connection) return `${name}, which is of a connection`
    if (kind === fieldKind.te && value !== 'trailers') return 'te with more than trailers'
    this.#special(kind, name, value)
    return undefined
  }

  /** Once each, and before all others. */
  #pseudo(name: string, value: string): string | undefined {
    if (this.#fields.length > 0 || this.#host !== undefined) return `${name} after a field`
    switch (name) {
      case ':method':
        if (this.#method !== undefined) return ':method twice'
        this.#method = value
        return undefined
      case ':scheme':
        if (this.#scheme !== undefined) return ':scheme twice'
        this.#scheme = value
        return undefined
      case ':authority':
        if (this.#authority !== undefined) return ':authority twice'
        this.#authority = value
        return undefined
      case ':path':
        if (this.#path !== undefined) return ':path twice'
        this.#path = value
        return undefined
      case ':protocol':
        if (this.#protocol !== undefined) return ':protocol twice'
        this.#protocol = value
        return undefined
      default:
        return 'a pseudo-header field that is none of a request'
    }
  }

  #special(kind: number, name: string, value: string): void {
    const fields = this.#fields
    if (kind === fieldKind.host) {
      if (this.#host !== undefined) this.#refuse(400, 'host', 'two host fields')
      this.#host = value
      return
    }
    if (kind === fieldKind.cookie && this.#cookieAt >= 0) {
      // Crumbs are one field cut into pieces (RFC 9113 8.2.3); one without anything in it would leave a space at an end.
      const before = fields[this.#cookieAt]
      if (value !== '') fields[this.#cookieAt] = before === '' ? value : `${before}; ${value}`
      return
    }
    if (kind === fieldKind.cookie) this.#cookieAt = fields.length + 1
    else if (kind === fieldKind.contentLength) {
      if (this.#contentLength !== undefined) this.#refuse(400, 'content-length', 'two content-length fields')
      this.#contentLength = value
    } else if (kind === fieldKind.expect) {
      this.#expect = this.#expect === undefined ? value : `${this.#expect},${value}`
    } else if (kind === fieldKind.single && has(fields, name)) this.#refuse(400, 'field-repeated', `two ${name} fields`)
    else if (kind === fieldKind.ambiguous) {
      this.#refuse(400, 'field-ambiguous', `${name} is another field to us than to many a server`)
    }
    fields.push(name, value)
  }

  #refuse(...[status, code, message]: ConstructorParameters<typeof HttpError>): void {
    this.#error ??= new HttpError(status, code, message)
  }

  /** RFC 9113 8.3.1, 8.5; RFC 8441 4. */
  problem(): string | undefined {
    if (this.#method === undefined) return 'no :method'
    if (this.#method !== 'CONNECT') {
      if (this.#protocol !== undefined) return ':protocol without CONNECT'
      if (this.#scheme === undefined || this.#path === undefined) return 'no :scheme or no :path'
      return this.#path === '' ? 'an empty :path' : undefined
    }
    if (this.#protocol !== undefined) {
      const whole = this.#scheme !== undefined && this.#path !== undefined && this.#authority !== undefined
      return whole && this.#path !== '' ? undefined : 'an extended CONNECT without :scheme, :path and :authority'
    }
    if (this.#scheme !== undefined || this.#path !== undefined) return 'CONNECT with :scheme or :path'
    return this.#authority === undefined ? 'CONNECT without :authority' : undefined
  }

  request(rules: RequestRules): Http2Request {
    if (this.#error !== undefined) throw this.#error
    const upgrade = this.#upgrade()
    // What HTTP/1.1 says of the same request: rules for methods must not depend on the version.
    const method = upgrade === undefined ? this.#checkedMethod() : 'GET'
    if (this.#fields.length > 2 * rules.maxFields) throw new HttpError(431, 'too-many-fields', 'too many fields')
    if (this.#scheme?.toLowerCase() !== rules.scheme) {
      throw new HttpError(400, 'target', `the scheme of the request is not ${rules.scheme}`)
    }
    const contentLength = this.#length()
    const head = {
      method,
      scheme: rules.scheme,
      authority: this.#target(),
      path: this.#checkedPath(method, rules),
      headers: Headers.scanned(this.#fields),
    }
    return { head, contentLength, expectContinue: this.#expects(), upgrade }
  }

  #upgrade(): Upgrade | undefined {
    if (this.#protocol === undefined) {
      if (this.#method === 'CONNECT') throw new HttpError(405, 'connect', 'CONNECT is not served here')
      return undefined
    }
    if (this.#protocol !== 'websocket') throw new HttpError(501, 'upgrade', 'only websocket is served over CONNECT')
    if (this.#contentLength !== undefined) throw new HttpError(400, 'upgrade', 'an upgrade with a length')
    return 'websocket'
  }

  #checkedMethod(): string {
    const method = this.#method!
    if (!methods.has(method)) {
      throw new HttpError(/^[A-Z-]+$/.test(method) ? 501 : 400, 'method', 'the method is not known')
    }
    return method
  }

  #length(): number | undefined {
    if (this.#contentLength === undefined) return undefined
    const length = parseLength(this.#contentLength)
    if (length === undefined) throw new HttpError(400, 'content-length', 'content-length is no plain number')
    return length
  }

  #target(): string {
    const authority = this.#authority ?? this.#host
    if (authority === undefined) throw new HttpError(400, 'host', 'neither :authority nor host')
    if (!isAuthority(authority)) throw new HttpError(400, 'host', ':authority is no authority')
    const host = this.#host
    if (host !== undefined && host !== authority && host.toLowerCase() !== authority.toLowerCase()) {
      throw new HttpError(400, 'host', 'host is another one than :authority')
    }
    return authority
  }

  /** As it came: the stack normalises it, once, whatever the version. */
  #checkedPath(method: string, rules: RequestRules): string {
    const path = this.#path!
    if (path.length > rules.maxTargetBytes) throw new HttpError(414, 'target-too-long', ':path is too long')
    if (!targetPattern.test(path)) throw new HttpError(400, 'target', ':path has a fragment or a forbidden character')
    if (path === '*' ? method !== 'OPTIONS' : path.charCodeAt(0) !== 47) {
      throw new HttpError(400, 'target', ':path is neither a path nor the * of OPTIONS')
    }
    return path
  }

  #expects(): boolean {
    if (this.#expect === undefined) return false
    if (this.#expect.toLowerCase() !== '100-continue') {
      throw new HttpError(417, 'expect', 'only 100-continue can be expected')
    }
    return true
  }
}

function has(fields: readonly string[], name: string): boolean {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return true
  return false
}
