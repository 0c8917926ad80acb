// The bytes of an answer of the mesh's own: the question echoed as it came, as many records as fit. Pure; used by server.ts.
import { type Answer, encode } from 'dns-packet'
import type { DnsDecision } from './answer.ts'
import { type DnsQuery, flagBits, headerBytes, maxUdpBytes, type Rcode, responseFlags } from './wire.ts'

type MeshAnswer = Exclude<DnsDecision, { kind: 'forward' }>

/** @param limitBytes largest message: `udpLimit` of the query, 65,535 over TCP */
export function encodeAnswer(query: DnsQuery, decision: MeshAnswer, limitBytes: number): Buffer {
  const flags = responseFlags(query.flags, decision.rcode) | flagBits.authoritative
  const whole = assemble(query, flags, decision.answers, decision.authorities, decision.additionals)
  if (whole.length <= limitBytes) return whole
  // Additional records are a courtesy (RFC 2181 §9): leaving them out is no truncation.
  const bare = assemble(query, flags, decision.answers, decision.authorities, [])
  if (bare.length <= limitBytes) return bare
  return longestFitting(query, flags | flagBits.truncated, decision.answers, limitBytes)
}

/** Bisects for the largest number of records that fits. */
function longestFitting(query: DnsQuery, flags: number, answers: readonly Answer[], limitBytes: number): Buffer {
  let best = assemble(query, flags, [], [], [])
  let low = 0
  let high = answers.length
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    const attempt = assemble(query, flags, answers.slice(0, middle), [], [])
    if (attempt.length <= limitBytes) {
      best = attempt
      low = middle
    } else high = middle - 1
  }
  return best
}

/** A refusal or failure: no records. */
export function encodeError(query: DnsQuery, rcode: Rcode): Buffer {
  return assemble(query, responseFlags(query.flags, rcode), [], [], [])
}

/** An EDNS version that the proxy does not speak: BADVERS, extended rcode 16 (RFC 6891 §6.1.3). */
export function encodeBadVersion(query: DnsQuery): Buffer {
  return assemble(query, responseFlags(query.flags, 'NOERROR'), [], [], [], 1)
}

/** The encoder writes no compression pointers, so the question may be put in as it came. */
function assemble(
  query: DnsQuery,
  flags: number,
  answers: readonly Answer[],
  authorities: readonly Answer[],
  additionals: readonly Answer[],
  extendedRcode = 0,
): Buffer {
  const records = encode({
    type: 'response',
    id: query.id,
    answers: [...answers],
    authorities: [...authorities],
    additionals: query.edns === undefined ? [...additionals] : [...additionals, optRecord(extendedRcode)],
  })
  const header = Buffer.from(records.subarray(0, headerBytes))
  header.writeUInt16BE(flags, 2)
  header.writeUInt16BE(1, 4)
  return Buffer.concat([header, query.question.bytes, records.subarray(headerBytes)])
}

function optRecord(extendedRcode: number): Answer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: maxUdpBytes,
    extendedRcode,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  }
}
