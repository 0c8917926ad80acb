// One thing that the analyzer found, and how rules report it.
import type { Path } from '../model/fields/field.ts'
import type { MeshObject } from '../model/resource.ts'
import type { AnalysisCode } from './messages.ts'

export interface Finding {
  readonly code: AnalysisCode
  /** Below the object. */
  readonly at: Path
  readonly message: string
  /** What to do about it. */
  readonly remedy: string
}

/** A finding about one of the analysed objects. */
export interface ObjectFinding extends Finding {
  readonly object: MeshObject
}

export type Reporter = (code: AnalysisCode, at: Path, message: string, remedy: string) => void
