// The Gateway API's kinds: waypoints and routes.
import type { Kind } from './kind.ts'

export const gatewayKinds: readonly Kind[] = []
