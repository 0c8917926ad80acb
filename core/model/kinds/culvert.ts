// Culvert's own kinds: what no other API can say.
import type { Kind } from './kind.ts'

export const culvertKinds: readonly Kind[] = []
