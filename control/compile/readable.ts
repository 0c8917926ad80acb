// What stands for an object where it does not fit its kind, and what is said of the fields of each.
import { ignoredFields } from '../../core/model/ignored.ts'
import { formatProblem, type Problem } from '../../core/model/problem.ts'
import type { MeshObject } from '../../core/model/resource.ts'
import { validateObject } from '../../core/model/validate.ts'
import { accepted, type Finding, notAccepted } from './conditions.ts'

export interface Read {
  /** Undefined: the object counts as if it were not there. */
  readonly object: MeshObject | undefined
  readonly findings: readonly Finding[]
}

/**
 * Every write is validated, so only another version of Culvert can have stored what does not fit. It must not stop the rest,
 * and a security rule that cannot be read refuses everything in its namespace; anything else counts as if it were not there.
 */
export function readObject(object: MeshObject): Read {
  const problems = problemsOf(object)
  if (problems.length === 0) return { object, findings: [accepted, ...ignoredFindings(object)] }
  const findings = [accepted, notAccepted('Invalid', problems.map(formatProblem).join('; '))]
  if (object.kind === 'AuthorizationPolicy') {
    return { object: { ...object, spec: { action: 'DENY', rules: [{}] } }, findings }
  }
  if (object.kind === 'PeerAuthentication')
    return { object: { ...object, spec: { mtls: { mode: 'STRICT' } } }, findings }
  return { object: undefined, findings }
}

function isSecurityRule({ kind }: MeshObject): boolean {
  return kind === 'AuthorizationPolicy' || kind === 'PeerAuthentication'
}

/**
 * What makes an object unreadable. Refused fields are readable (each kind deals with them), and so are unknown ones unless
 * they may be a condition of a security rule.
 */
function problemsOf(object: MeshObject): readonly Problem[] {
  const tolerated: readonly (string | undefined)[] = isSecurityRule(object) ? ['refused'] : ['refused', 'unknown']
  return validateObject(object).filter(({ reason }) => !tolerated.includes(reason))
}

/** A condition for each field that was set without effect. */
function ignoredFindings(object: MeshObject): readonly Finding[] {
  return ignoredFields(object).map(({ path, text }) => {
    const type = `Ignored.${path.replace(/[^A-Za-z0-9_-]+/g, '.').replace(/[^A-Za-z0-9]+$/, '')}`.slice(0, 316)
    return { type, status: 'True', reason: 'FieldIgnored', message: `${path}: ${text}` }
  })
}
