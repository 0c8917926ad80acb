// The line before each chunk: its size in hexadecimal and extensions, which are checked, counted and dropped (RFC 9112 7.1.1). One
// for each reader; it keeps its place when a read ends in the middle of the line.
import { HttpError } from '../http/error.ts'
import { endOfText, incomplete } from './field-scanner.ts'
import type { Http1Limits } from './limits.ts'

const lineFeed = 10
const carriageReturn = 13
const semicolon = 59
/** 2^48 − 1: far more than anybody sends, and exact in a number. */
const mostDigits = 12

/** Byte → value of the hexadecimal digit, 255 for every other byte. */
const hex = new Uint8Array(256).fill(255)
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  hex[digit.charCodeAt(0)] = value
  hex[digit.toUpperCase().charCodeAt(0)] = value
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const quoted = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"'
const extensions = new RegExp(`^(?:;${token}(?:=(?:${token}|${quoted}))?)*$`)

export class ChunkLine {
  /** Of the chunk whose line was read last. */
  size = 0
  #digits = 0
  #place: 'size' | 'extension' | 'line-feed' = 'size'
  #extension = ''
  #extensionBytes = 0

  /** Before the first chunk of a body. */
  begin(): void {
    this.#next()
    this.#extensionBytes = 0
  }

  #next(): void {
    this.size = 0
    this.#digits = 0
    this.#place = 'size'
    this.#extension = ''
  }

  /** Index after the line; `incomplete` where all bytes were taken in and more must come. Throws HttpError `chunk`. */
  read(bytes: Buffer, from: number, end: number, limits: Http1Limits): number {
    let at = from
    if (this.#place === 'line-feed') return this.#lineFeed(bytes, at)
    if (this.#place === 'size') {
      if (this.#digits === 0) this.#next()
      at = this.#readSize(bytes, at, end)
      if (at === end) return incomplete
    }
    if (bytes[at] === semicolon || this.#place === 'extension') {
      at = this.#readExtension(bytes, at, end, limits)
      if (at === end) return incomplete
    }
    if (this.#digits === 0) throw chunkError('a chunk without a size')
    if (bytes[at] !== carriageReturn) throw chunkError(`the line of a chunk has the byte 0x${bytes[at]!.toString(16)}`)
    if (this.#extension !== '' && !extensions.test(this.#extension)) throw chunkError('a malformed chunk extension')
    this.#place = 'line-feed'
    at += 1
    return at === end ? incomplete : this.#lineFeed(bytes, at)
  }

  #readSize(bytes: Buffer, from: number, end: number): number {
    let at = from
    for (; at < end; at += 1) {
      const digit = hex[bytes[at]!]!
      if (digit === 255) return at
      this.#digits += 1
      if (this.#digits > mostDigits) throw chunkError('the size of a chunk is too large')
      this.size = this.size * 16 + digit
    }
    return at
  }

  #readExtension(bytes: Buffer, from: number, end: number, limits: Http1Limits): number {
    this.#place = 'extension'
    const stop = endOfText(bytes, from, end)
    this.#extensionBytes += stop - from
    const line = this.#digits + this.#extension.length + stop - from
    if (line > limits.maxChunkLineBytes || this.#extensionBytes > limits.maxChunkExtensionBytes) {
      throw new HttpError(413, 'chunk', 'too many chunk extensions')
    }
    this.#extension += bytes.toString('latin1', from, stop)
    return stop
  }

  #lineFeed(bytes: Buffer, at: number): number {
    if (bytes[at] !== lineFeed) throw chunkError('CR without LF after the size of a chunk')
    this.#digits = 0
    this.#place = 'size'
    this.#extension = ''
    return at + 1
  }
}

function chunkError(message: string): HttpError {
  return new HttpError(400, 'chunk', message)
}
