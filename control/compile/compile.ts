// Resources in, compiled model out, all at once. Pure: the same objects give the same result, in whatever order they come. Called
// on files (`analyze`) and by tests; a control plane keeps a Compiler.
import { type Condition, formatObjectKey, type MeshObject } from '../../core/model/resource.ts'
import type { CompiledResource } from '../../core/model/types.ts'
import { Compiler } from './compiler.ts'
import { keyOf } from './conditions.ts'
import type { CompileSettings } from './settings.ts'

export interface Compiled {
  readonly resources: readonly CompiledResource[]
  /** By formatObjectKey of the object. */
  readonly conditions: ReadonlyMap<string, readonly Condition[]>
}

export function compile(objects: readonly MeshObject[], settings: CompileSettings): Compiled {
  const compiler = new Compiler(settings)
  compiler.apply(objects.map((object) => ({ key: formatObjectKey(keyOf(object)), after: object })))
  const { resources, conditions } = compiler
  return { resources, conditions }
}
