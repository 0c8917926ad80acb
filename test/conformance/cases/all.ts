// The whole table.
import type { ConformanceCase } from '../case.ts'
import { gatewayBehaviour } from './gateway-behaviour.ts'
import { gatewayRouting } from './gateway-routing.ts'
import { meshCore } from './mesh-core.ts'
import { meshExtended } from './mesh-extended.ts'

export const allCases: readonly ConformanceCase[] = [
  ...meshCore,
  ...meshExtended,
  ...gatewayRouting,
  ...gatewayBehaviour,
]
