// What a rule is: it looks at one object in the light of all others. rules/ holds them, analyze.ts runs those of the object's kind.
import type { MeshObject } from '../model/resource.ts'
import type { Reporter } from './finding.ts'
import type { Inventory } from './inventory.ts'

export interface RuleContext {
  readonly object: MeshObject
  readonly inventory: Inventory
  readonly report: Reporter
}

export type Rule = (context: RuleContext) => void

/** Rules by kind. */
export type RuleTable = Readonly<Record<string, readonly Rule[]>>
