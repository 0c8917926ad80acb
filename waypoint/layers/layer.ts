// How layers are put together: each takes the one below it and gives what the one above it calls. stack.ts says in which order; a
// layer that has nothing to do for a route is undefined there, so that a request does not even pass it.
import type { Answer } from '../exchange.ts'
import type { RequestContext } from './request-context.ts'

/** Resolves with an answer, or fails with a Failure, thrown or rejected. */
export type Step = (request: RequestContext) => Promise<Answer>

export type Layer = (next: Step) => Step

/** The first is the outermost. */
export function through(layers: readonly (Layer | undefined)[], last: Step): Step {
  return layers.reduceRight<Step>((next, layer) => (layer === undefined ? next : layer(next)), last)
}
